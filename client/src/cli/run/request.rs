//! One line in, one line out.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use veilmatch_protocol::{
    item::{Item, Kind},
    name::ListId,
};

use crate::{
    Client,
    output::{Answer, Origin, Record, record},
};

/// Longest deadline that may be asked for: what waits longer is better scanned.
const MAX_DEADLINE_MS: u64 = 600_000;

/// Longest id and name, so that an answer is not much longer than its question.
const MAX_ID: usize = 256;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    list: Option<String>,
    digests: Option<BTreeMap<String, String>>,
    path: Option<PathBuf>,
    name: Option<String>,
    deadline_ms: Option<u64>,
}

/// A request that can be answered.
pub struct Request {
    /// Given back with the answer.
    pub id: Value,
    /// The list that is asked.
    pub list: ListId,
    /// Digests, or a file to take them of.
    pub what: What,
    /// What a rescan calls it.
    pub name: Option<String>,
    /// When *not checked* is the answer.
    pub deadline: Duration,
}

/// What is asked about.
pub enum What {
    /// Digests: several are those of one file.
    Digests(Vec<Item>),
    /// A file.
    File(PathBuf),
}

/// Why a line is no request.
#[derive(Debug, PartialEq)]
pub struct Bad {
    /// Its id, if it has one.
    pub id: Value,
    /// What is wrong with it.
    pub why: String,
}

/// Reads a request.
pub fn parse(line: &[u8], client: &Client) -> Result<Request, Bad> {
    parse_for(line, &client.lists(), client.config().check_deadline())
}

fn parse_for(line: &[u8], lists: &[ListId], deadline: Duration) -> Result<Request, Bad> {
    let bad = |id: &Value, why: &str| Bad { id: id.clone(), why: why.to_owned() };
    let mut value: Value =
        serde_json::from_slice(line).map_err(|error| bad(&Value::Null, &format!("not JSON: {error}")))?;
    let id = value.as_object_mut().and_then(|object| object.remove("id")).unwrap_or_default();
    let id = match &id {
        Value::Null | Value::Number(_) => id,
        Value::String(text) if text.len() <= MAX_ID => id,
        _ => return Err(bad(&Value::Null, "id is neither a number nor a string of at most 256 bytes")),
    };
    let line: Line = serde_json::from_value(value).map_err(|error| bad(&id, &error.to_string()))?;
    let list = match (&line.list, lists) {
        (Some(name), _) => lists
            .iter()
            .find(|list| list.as_str() == name)
            .ok_or_else(|| bad(&id, "list is not one of the invitation's"))?,
        (None, [list]) => list,
        (None, _) => return Err(bad(&id, "list is missing, and there are several")),
    };
    let what = match (line.digests, line.path) {
        (Some(digests), None) => What::Digests(items(digests).map_err(|why| bad(&id, why))?),
        (None, Some(path)) if path.is_absolute() => What::File(path),
        (None, Some(_)) => return Err(bad(&id, "path is not absolute")),
        _ => return Err(bad(&id, "exactly one of digests and path is needed")),
    };
    if line.name.as_ref().is_some_and(|name| name.len() > MAX_ID || name.is_empty()) {
        return Err(bad(&id, "name is empty or longer than 256 bytes"));
    }
    let deadline = match line.deadline_ms {
        Some(0) => return Err(bad(&id, "deadline_ms is 0")),
        Some(ms) => Duration::from_millis(ms.min(MAX_DEADLINE_MS)),
        None => deadline,
    };
    Ok(Request { list: list.clone(), what, name: line.name, deadline, id })
}

fn items(digests: BTreeMap<String, String>) -> Result<Vec<Item>, &'static str> {
    if digests.is_empty() {
        return Err("digests is empty");
    }
    let item = |(kind, digest): (String, String)| {
        let kind = Kind::from_name(&kind).map_err(|_| "digests: a kind is none of md5, sha1, sha256 and sha512")?;
        let digest = hex::decode(digest).map_err(|_| "digests: a digest is not hexadecimal")?;
        Item::new(kind, &digest).map_err(|_| "digests: a digest has not its kind's length")
    };
    digests.into_iter().map(item).collect()
}

#[derive(Serialize)]
struct Reply<'a> {
    id: &'a Value,
    #[serde(flatten)]
    record: Record<'a>,
}

/// The line that answers a request.
pub fn reply(id: &Value, answer: &Answer<'_>) -> Vec<u8> {
    line(&Reply { id, record: record(answer) })
}

/// The line that answers what is no request.
pub fn refusal(bad: &Bad) -> Vec<u8> {
    line(&serde_json::json!({ "id": bad.id, "outcome": "not_checked", "reason": "BAD_REQUEST", "detail": bad.why }))
}

fn line(reply: &impl Serialize) -> Vec<u8> {
    let mut line = serde_json::to_vec(reply).expect("strings, numbers and maps of strings always serialise");
    line.push(b'\n');
    line
}

/// What an answer is about: the file, or the name or digests that were given.
pub fn origin(request: &Request) -> Origin {
    match (&request.what, &request.name) {
        (What::File(path), _) => Origin::Path(path.clone()),
        (What::Digests(_), Some(name)) => Origin::Name(name.clone().into_bytes()),
        (What::Digests(items), None) => Origin::Name(super::super::sweep::digest_name(items).into_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Outcome;

    fn parsed(line: &str) -> Result<Request, Bad> {
        parse_for(line.as_bytes(), &[ListId::parse("baseline").unwrap()], Duration::from_secs(5))
    }

    fn why(line: &str) -> String {
        parsed(line).err().unwrap().why
    }

    #[test]
    fn a_request_names_digests_or_a_file() {
        let digest = "0123456789abcdef0123456789ABCDEF";
        let request = parsed(&format!(r#"{{"id": "a", "digests": {{"md5": "{digest}"}}}}"#)).unwrap();
        assert!(matches!(&request.what, What::Digests(items) if items[0].kind() == Kind::Md5));
        assert_eq!(
            (request.id, request.list.as_str(), request.deadline),
            ("a".into(), "baseline", Duration::from_secs(5))
        );
        let request = parsed(r#"{"id": 7, "list": "baseline", "path": "/a", "deadline_ms": 50}"#).unwrap();
        assert!(matches!(&request.what, What::File(path) if path.as_os_str() == "/a"));
        assert_eq!(request.deadline, Duration::from_millis(50));
    }

    #[test]
    fn what_is_no_request_is_told_why() {
        assert!(why("{").starts_with("not JSON: "));
        assert_eq!(why("{}"), "exactly one of digests and path is needed");
        assert_eq!(why(r#"{"path": "/a", "digests": {}}"#), "exactly one of digests and path is needed");
        assert_eq!(why(r#"{"path": "a"}"#), "path is not absolute");
        assert_eq!(why(r#"{"path": "/a", "list": "other"}"#), "list is not one of the invitation's");
        assert_eq!(why(r#"{"digests": {}}"#), "digests is empty");
        assert_eq!(why(r#"{"digests": {"pdq": "00"}}"#), "digests: a kind is none of md5, sha1, sha256 and sha512");
        assert_eq!(why(r#"{"digests": {"md5": "xx"}}"#), "digests: a digest is not hexadecimal");
        assert_eq!(why(r#"{"digests": {"md5": "00"}}"#), "digests: a digest has not its kind's length");
        assert_eq!(why(r#"{"path": "/a", "deadline_ms": 0}"#), "deadline_ms is 0");
        assert!(why(r#"{"path": "/a", "deadline": 1}"#).contains("unknown field `deadline`"));
        assert_eq!(parsed(r#"{"id": 3}"#).err().unwrap().id, 3);
        assert_eq!(parsed(r#"{"id": [3]}"#).err().unwrap().id, Value::Null);
    }

    #[test]
    fn a_reply_tells_a_match_of_weak_kinds_only_from_others() {
        // SPEC §12.6
        let (list, origin) = (ListId::parse("baseline").unwrap(), Origin::Name(b"a".to_vec()));
        for weak_only in [false, true] {
            let outcome = &Outcome::Match { label: b"A1".to_vec().into(), kind: Kind::Md5, version: 1, weak_only };
            let answer = Answer { origin: &origin, list: &list, outcome, detail: None, new: None };
            let line: Value = serde_json::from_slice(&reply(&3.into(), &answer)).unwrap();
            assert_eq!((&line["id"], &line["outcome"]), (&3.into(), &"match".into()));
            assert_eq!(line.get("weak_only"), weak_only.then_some(&true.into()));
        }
    }

    #[test]
    fn a_refusal_is_not_checked_with_the_id() {
        let bad = Bad { id: 3.into(), why: "because".to_owned() };
        let line: Value = serde_json::from_slice(&refusal(&bad)).unwrap();
        assert_eq!(
            (&line["id"], &line["outcome"], &line["reason"]),
            (&3.into(), &"not_checked".into(), &"BAD_REQUEST".into())
        );
    }
}
