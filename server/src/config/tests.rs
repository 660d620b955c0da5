use super::*;

fn file() -> String {
    file_with(None)
}

fn file_with(log_listen: Option<&str>) -> String {
    let (agency, listen) = (AgencyName::parse("agency.example").unwrap(), "127.0.0.1:7443".parse().unwrap());
    commented_file(&agency, listen, "localhost:7443", log_listen.map(|listen| listen.parse().unwrap()))
}

fn parse(text: &str) -> Result<Config, Error> {
    Config::parse(text, Path::new("config.toml"))
}

#[test]
fn the_file_that_init_writes_is_read_back() {
    let config = parse(&file()).unwrap();
    assert_eq!(config.agency().as_str(), "agency.example");
    assert_eq!(config.server_name().unwrap(), "localhost");
    assert_eq!(config.publication.frame_sizes, [1, 4, 16, 256, 1_024, 4_096]);
    assert_eq!(config.log.listen(), Ok(None));
    let config = parse(&file_with(Some("0.0.0.0:7444"))).unwrap();
    assert_eq!(config.log.listen(), Ok(Some("0.0.0.0:7444".parse().unwrap())));
}

#[test]
fn every_commented_default_can_be_uncommented_and_changes_nothing() {
    let mut text = file();
    for setting in settings() {
        if let Some(default) = setting.default {
            let line = format!("{} = {default}\n", setting.key);
            assert!(text.contains(&format!("# {line}")), "{line}");
            text = text.replace(&format!("# {line}"), &line);
        }
    }
    let (plain, set) = (parse(&file()).unwrap(), parse(&text).unwrap());
    assert_eq!(format!("{plain:?}"), format!("{set:?}"));
}

#[test]
fn an_unknown_key_is_refused_with_its_line() {
    for bad in ["wrong = 1\n", "[budget]\nelements = 1\n", "[nonsense]\n"] {
        let text = if bad.starts_with('[') { file() + bad } else { bad.to_owned() + &file() };
        let refused = parse(&text.replace("[budget]\n# Elements", "[budgett]\n# Elements")).unwrap_err().to_string();
        assert!(refused.contains("line"), "{refused}");
    }
}

#[test]
fn values_that_cannot_work_are_refused_with_their_key() {
    let cases = [
        ("# kept_artifacts = 2", "kept_artifacts = 0", "publication.kept_artifacts"),
        ("# waiting_elements = 65536", "waiting_elements = 8191", "frames.waiting_elements"),
        ("# frame_sizes = [1, 4, 16, 256, 1024, 4096]", "frame_sizes = []", "publication.frame_sizes"),
        ("# frame_sizes = [1, 4, 16, 256, 1024, 4096]", "frame_sizes = [4, 1]", "publication.frame_sizes"),
        ("# frame_sizes = [1, 4, 16, 256, 1024, 4096]", "frame_sizes = [5]", "publication.frame_sizes"),
        ("# elements_per_day = 10000000", "elements_per_day = 9007199254740992", "budget.elements_per_day"),
        ("# frames_per_day = 500000", "frames_per_day = 9223372036854775807", "budget.frames_per_day"),
        ("# certificate_days = 30", "certificate_days = 3651", "enrolment.certificate_days"),
        ("# validity_hours = 168", "validity_hours = 4294967295", "publication.validity_hours"),
        ("# overlap_hours = 168", "overlap_hours = 4294967295", "publication.overlap_hours"),
        ("# checkpoint_seconds = 30", "checkpoint_seconds = 31", "log.checkpoint_seconds"),
        ("agency = \"agency.example\"", "agency = \"Agency\"", "agency"),
        ("address = \"localhost:7443\"", "address = \"localhost\"", "network.address"),
    ];
    for (from, to, key) in cases {
        let text = file().replace(from, to);
        assert_ne!(text, file(), "{from}");
        let refused = parse(&text).unwrap_err().to_string();
        assert!(refused.contains(key), "{refused}");
    }
}

#[test]
fn an_address_is_split_at_its_last_colon() {
    assert_eq!(split_address("localhost:1").unwrap(), ("localhost", 1));
    assert_eq!(split_address("[::1]:7443").unwrap(), ("::1", 7_443));
    for bad in ["localhost", ":1", "a:b", "a:70000", "a b:1", ""] {
        assert!(split_address(bad).is_err(), "{bad}");
    }
}

#[test]
fn what_the_specification_tells_clients_to_count_on_is_the_default() {
    // SPEC §6.9, §9.6, §9.7
    let Config { limits, frames, .. } = parse(&file()).unwrap();
    let seconds = |ms: u64| format!("{} s", ms / 1_000);
    let minutes = |ms: u64| format!("{} min", ms / 60_000);
    let kib = |bytes: u32| format!("{} KiB", bytes / 1_024);
    assert_eq!(limits.handshake_ms, limits.preface_ms, "one row has both");
    let rows = [
        ("TLS handshake; first HTTP/2 bytes after it", format!("{} each", seconds(limits.handshake_ms))),
        ("rest of a message after its first byte", seconds(limits.message_ms)),
        (
            "idle stream of frames, or a reader that does not read; age of any stream",
            format!("{}; {}", seconds(limits.idle_stream_ms), minutes(limits.stream_age_ms)),
        ),
        (
            "age of a connection",
            format!(
                "{} ± 10 %, then GOAWAY and {}",
                minutes(limits.connection_age_ms),
                seconds(limits.connection_age_grace_ms)
            ),
        ),
        (
            "PING after silence of; unanswered for",
            format!("{}; {}", seconds(limits.keepalive_interval_ms), seconds(limits.keepalive_timeout_ms)),
        ),
        (
            "streams per connection; connections per certificate, then `OVERLOADED`",
            format!("{}; {}", limits.streams_per_connection, limits.connections_per_certificate),
        ),
        (
            "header list; HTTP/2 frame from the client",
            format!("{}; {}", kib(limits.header_list_bytes), kib(limits.frame_bytes)),
        ),
        (
            "elements that wait for a processor",
            format!(
                "{},{:03}, then `OVERLOADED` with RetryInfo",
                frames.waiting_elements / 1_000,
                frames.waiting_elements % 1_000
            ),
        ),
    ];
    let spec = include_str!("../../../SPEC.md");
    for (limit, value) in rows {
        let row = format!("| {limit} | {value} |\n");
        assert!(spec.contains(&row), "SPEC §9.6 lacks: {row}");
    }
    assert!(spec.contains(&format!("at most {} times, within {} h", frames.retries, frames.retry_hours)));
    assert!(spec.contains(&format!("by default {} a minute and platform", frames.refusals_per_minute)));
}
