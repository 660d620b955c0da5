//! The fake agency's logs, and the fake agency as a witness.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
};

use ed25519_dalek::SigningKey;
use tonic::{Request, Response, Status};
use veilmatch_audit::{
    checkpoint::{self, Checkpoint},
    closing::Closing,
    cosignature::Cosigner,
    leaf, tree,
};
use veilmatch_proto::{
    Reason, Refused,
    pb::{self, logs_server::Logs},
};
use veilmatch_protocol::{
    manifest::SignedManifest,
    note::{Note, Verifier},
};

/// Logs that do as a test says.
#[derive(Clone, Default)]
pub(crate) struct FakeLogs(Arc<Mutex<State>>);

/// What they say.
#[derive(Default)]
pub(crate) struct State {
    /// The leaves of the manifest log.
    pub(crate) leaves: Vec<Vec<u8>>,
    /// The leaves of query logs, by origin.
    pub(crate) queries: BTreeMap<String, Vec<Vec<u8>>>,
    /// Lines of witnesses, which stand in every checkpoint.
    pub(crate) lines: Vec<String>,
    /// What platforms handed in.
    pub(crate) cosignatures: Vec<String>,
    /// Checkpoints of match logs that the agency cosigned, by origin.
    pub(crate) cosigned: BTreeMap<String, Vec<u8>>,
    /// The platform's receipt key, where closing statements are agreed to.
    pub(crate) agrees: Option<Verifier>,
}

impl FakeLogs {
    /// A manifest log with one version.
    pub(crate) fn of(signed: &SignedManifest) -> Self {
        let logs = Self::default();
        logs.state().leaves.push(signed.leaf().to_vec());
        logs
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }
}

impl State {
    fn log(&self, origin: &str) -> Result<&[Vec<u8>], Status> {
        if origin.ends_with("/manifest") {
            return Ok(&self.leaves);
        }
        self.queries.get(origin).map(Vec::as_slice).ok_or_else(|| refuse(Reason::UnknownLog))
    }

    fn hashes(&self, origin: &str) -> Result<Vec<tree::Hash>, Status> {
        Ok(self.log(origin)?.iter().map(|leaf| leaf::hash(leaf)).collect())
    }
}

fn key() -> SigningKey {
    super::key()
}

fn refuse(reason: Reason) -> Status {
    Refused::from(reason).into()
}

#[tonic::async_trait]
impl Logs for FakeLogs {
    async fn get_checkpoint(
        &self,
        request: Request<pb::GetCheckpointRequest>,
    ) -> Result<Response<pb::GetCheckpointResponse>, Status> {
        let pb::GetCheckpointRequest { origin, old_size } = request.into_inner();
        let state = self.state();
        let hashes = state.hashes(&origin)?;
        let size = hashes.len() as u64;
        if old_size > size {
            return Err(refuse(Reason::CheckpointAhead));
        }
        let root = veilmatch_protocol::merkle::root(hashes.iter().copied());
        let note = checkpoint::sign(&Checkpoint { origin, size, root }, &key()).unwrap();
        let note = state.lines.iter().fold(note, |note, line| note + line).into_bytes();
        let proof = tree::consistency_proof(&hashes[..], old_size, size).unwrap();
        let consistency = proof.iter().map(|hash| hash.to_vec()).collect();
        Ok(Response::new(pb::GetCheckpointResponse { note, consistency }))
    }

    async fn get_inclusion(
        &self,
        request: Request<pb::GetInclusionRequest>,
    ) -> Result<Response<pb::GetInclusionResponse>, Status> {
        let pb::GetInclusionRequest { origin, leaf_hash, size } = request.into_inner();
        let hashes = self.state().hashes(&origin)?;
        let index = hashes.iter().position(|hash| hash[..] == leaf_hash).ok_or_else(|| refuse(Reason::UnknownLog))?;
        let index = index as u64;
        let proof = tree::inclusion_proof(&hashes[..], index, size).unwrap();
        let inclusion = proof.iter().map(|hash| hash.to_vec()).collect();
        Ok(Response::new(pb::GetInclusionResponse { index, inclusion }))
    }

    async fn list_leaves(
        &self,
        request: Request<pb::ListLeavesRequest>,
    ) -> Result<Response<pb::ListLeavesResponse>, Status> {
        let state = self.state();
        let first = state.log(&request.into_inner().origin)?.iter().take(1);
        let leaves = first.map(|leaf| pb::LogLeaf { index: 0, leaf: leaf.clone() }).collect();
        Ok(Response::new(pb::ListLeavesResponse { leaves, next: 1 }))
    }

    async fn add_cosignature(
        &self,
        request: Request<pb::AddCosignatureRequest>,
    ) -> Result<Response<pb::AddCosignatureResponse>, Status> {
        let pb::AddCosignatureRequest { note, cosignature } = request.into_inner();
        assert_eq!(Note::parse(&note).unwrap().lines().len(), 1, "the log's own signature and no other");
        self.state().cosignatures.push(cosignature);
        Ok(Response::new(pb::AddCosignatureResponse {}))
    }

    async fn add_checkpoint(
        &self,
        request: Request<pb::AddCheckpointRequest>,
    ) -> Result<Response<pb::AddCheckpointResponse>, Status> {
        let pb::AddCheckpointRequest { note, old_size, consistency } = request.into_inner();
        let new = Checkpoint::parse(Note::parse(&note).unwrap().text()).unwrap();
        let mut state = self.state();
        let old =
            state.cosigned.get(&new.origin).map(|note| Checkpoint::parse(Note::parse(note).unwrap().text()).unwrap());
        if old.as_ref().map_or(0, |old| old.size) != old_size {
            return Err(refuse(Reason::CheckpointConflict));
        }
        let proof: Vec<tree::Hash> = consistency.iter().map(|hash| hash[..].try_into().unwrap()).collect();
        let root = old.map_or_else(tree::empty_root, |old| old.root);
        tree::verify_consistency(old_size, &root, new.size, &new.root, &proof).unwrap();
        let cosigner = Cosigner::new("agency.example/veilmatch/witness", key()).unwrap();
        let cosignature = cosigner.cosign(&new, crate::frames::now().unix());
        state.cosigned.insert(new.origin.clone(), note);
        Ok(Response::new(pb::AddCheckpointResponse { cosignature }))
    }

    async fn get_cosigned(
        &self,
        request: Request<pb::GetCosignedRequest>,
    ) -> Result<Response<pb::GetCosignedResponse>, Status> {
        let note = self.state().cosigned.get(&request.into_inner().origin).cloned().unwrap_or_default();
        Ok(Response::new(pb::GetCosignedResponse { note }))
    }

    async fn close_day(&self, request: Request<pb::CloseDayRequest>) -> Result<Response<pb::CloseDayResponse>, Status> {
        let statement = request.into_inner().statement;
        let agrees = self.state().agrees.clone().ok_or_else(|| refuse(Reason::CloseDiffers))?;
        let closing = Closing::open(&statement, &agrees).unwrap();
        let statement = String::from_utf8(statement).unwrap();
        let signature = closing.countersign(&statement, &key()).unwrap()[statement.len()..].to_owned();
        Ok(Response::new(pb::CloseDayResponse { signature }))
    }
}
