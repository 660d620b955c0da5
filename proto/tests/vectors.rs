//! The requests of SPEC §16 that a server refuses by their form.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{fs, path::Path};

use serde_json::Value;
use veilmatch_proto::{EvaluateFrame, pb};

fn bytes(value: &Value) -> Vec<u8> {
    hex::decode(value.as_str().unwrap()).unwrap()
}

fn number(value: &Value) -> u32 {
    u32::try_from(value.as_u64().unwrap()).unwrap()
}

fn request(case: &Value) -> pb::EvaluateRequest {
    assert_eq!(case.as_object().unwrap().len(), 8, "no member more or less: {case}");
    let view = &case["view"];
    pb::EvaluateRequest {
        list_id: case["list_id"].as_str().unwrap().to_owned(),
        epoch: number(&case["epoch"]),
        version: number(&case["version"]),
        view: (!view.is_null()).then(|| pb::View { size: view["size"].as_u64().unwrap(), root: bytes(&view["root"]) }),
        batch_id: bytes(&case["batch_id"]),
        minute: case["minute"].as_u64().unwrap(),
        blinded_elements: bytes(&case["blinded_elements"]),
        request_signature: bytes(&case["request_signature"]),
    }
}

#[test]
fn every_request_that_is_refused_by_its_form_has_its_reason() {
    // SPEC §9.4, §16
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../protocol/vectors/reject");
    let mut seen = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if !path.file_name().unwrap().to_string_lossy().starts_with("request_") {
            continue;
        }
        let case: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        let refused = EvaluateFrame::try_from(request(&case["request"])).unwrap_err();
        assert_eq!(refused.reason.name(), case["expect"].as_str().unwrap(), "{}", path.display());
        seen += 1;
    }
    assert!(seen > 10, "{seen} requests");
}
