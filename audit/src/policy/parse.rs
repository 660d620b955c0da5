//! The text of a policy.

use veilmatch_protocol::note::Verifier;

use super::{Group, Member, Named, Policy, Site};
use crate::{Error, cosignature::Witness};

/// Longest policy that is read.
const MAX_LEN: usize = 64 * 1_024;

/// Most logs, witnesses and groups, each; C2SP asks for 32.
const MAX: usize = 64;

/// The name that only a quorum may have.
const NONE: &str = "none";

pub(super) fn policy(text: &str) -> Result<Policy, Error> {
    let control = |b: u8| b.is_ascii_control() && b != b'\n' && b != b'\t';
    if text.len() > MAX_LEN || text.bytes().any(control) {
        return Err(Error::BadPolicy);
    }
    let mut draft = Draft::default();
    for line in text.split('\n') {
        let words: Vec<&str> = line.split([' ', '\t']).filter(|word| !word.is_empty()).collect();
        match words[..] {
            [] => {}
            [first, ..] if first.starts_with('#') => {}
            ["log", vkey] => draft.log(vkey, None)?,
            ["log", vkey, url] => draft.log(vkey, Some(url))?,
            ["witness", name, vkey] => draft.witness(name, vkey, None)?,
            ["witness", name, vkey, url] => draft.witness(name, vkey, Some(url))?,
            ["group", name, threshold, ref members @ ..] => draft.group(name, threshold, members)?,
            ["quorum", name] => draft.quorum(name)?,
            _ => return Err(Error::BadPolicy),
        }
    }
    draft.finish()
}

#[derive(Default)]
struct Draft {
    logs: Vec<Site<Verifier>>,
    witnesses: Vec<Named<Site<Witness>>>,
    groups: Vec<Named<Group>>,
    quorum: Option<Option<Member>>,
    /// What is a member of a group already: each counts in one way only.
    taken: Vec<Member>,
}

impl Draft {
    fn log(&mut self, vkey: &str, url: Option<&str>) -> Result<(), Error> {
        let key = Verifier::parse(vkey).map_err(|_| Error::BadPolicy)?;
        if self.logs.len() == MAX || self.logs.iter().any(|log| log.key.key() == key.key()) {
            return Err(Error::BadPolicy);
        }
        self.logs.push(Site { key, url: url.map(str::to_owned) });
        Ok(())
    }

    fn witness(&mut self, name: &str, vkey: &str, url: Option<&str>) -> Result<(), Error> {
        let key = Witness::parse(vkey).map_err(|_| Error::BadPolicy)?;
        let known = self.witnesses.iter().any(|witness| witness.value.key.key() == key.key());
        if self.witnesses.len() == MAX || known {
            return Err(Error::BadPolicy);
        }
        self.define(name)?;
        let value = Site { key, url: url.map(str::to_owned) };
        self.witnesses.push(Named { name: name.to_owned(), value });
        Ok(())
    }

    fn group(&mut self, name: &str, threshold: &str, names: &[&str]) -> Result<(), Error> {
        let mut members = Vec::with_capacity(names.len());
        for name in names {
            let member = self.find(name)?;
            if self.taken.contains(&member) {
                return Err(Error::BadPolicy);
            }
            self.taken.push(member);
            members.push(member);
        }
        let threshold = match threshold {
            "any" => 1,
            "all" => members.len(),
            number if number.bytes().all(|b| b.is_ascii_digit()) => number.parse().map_err(|_| Error::BadPolicy)?,
            _ => return Err(Error::BadPolicy),
        };
        if self.groups.len() == MAX || !(1..=members.len()).contains(&threshold) {
            return Err(Error::BadPolicy);
        }
        self.define(name)?;
        self.groups.push(Named { name: name.to_owned(), value: Group { threshold, members } });
        Ok(())
    }

    fn quorum(&mut self, name: &str) -> Result<(), Error> {
        let member = if name == NONE { None } else { Some(self.find(name)?) };
        if self.quorum.replace(member).is_some() { Err(Error::BadPolicy) } else { Ok(()) }
    }

    fn define(&self, name: &str) -> Result<(), Error> {
        if name == NONE || self.find(name).is_ok() { Err(Error::BadPolicy) } else { Ok(()) }
    }

    fn find(&self, name: &str) -> Result<Member, Error> {
        let witness = self.witnesses.iter().position(|witness| witness.name == name).map(Member::Witness);
        let group = || self.groups.iter().position(|group| group.name == name).map(Member::Group);
        witness.or_else(group).ok_or(Error::BadPolicy)
    }

    fn finish(self) -> Result<Policy, Error> {
        let quorum = self.quorum.ok_or(Error::BadPolicy)?;
        Ok(Policy { logs: self.logs, witnesses: self.witnesses, groups: self.groups, quorum })
    }
}
