//! Budgets, and refusals whose cause the logs can show (Q07).

use std::collections::BTreeMap;

use veilmatch_protocol::{frame::MINUTE_SKEW, manifest::Quota};

use super::{Agency, Period, Platform};
use crate::{
    date::Date,
    finding::{Code, Finding},
    verify::Asked,
};

#[derive(Default)]
struct Used {
    elements: u64,
    frames: u64,
    told: bool,
}

pub(super) fn check(agency: &Agency, platform: &Platform, period: Period) -> Vec<Finding> {
    let frames = agency.queries.iter().flat_map(|(_, log)| &log.frames);
    let frames = frames.filter(|frame| frame.platform == platform.name && period.contains(Date::of(frame.t)));
    let mut used: BTreeMap<(&str, Date), Used> = BTreeMap::new();
    let mut findings = Vec::new();
    for frame in frames.clone().filter(|frame| frame.answered()) {
        let Some(quota) = quota(agency, platform, frame) else { continue };
        let day = used.entry((frame.list.as_str(), Date::of(frame.t))).or_default();
        day.elements += frame.n.len() as u64;
        day.frames += 1;
        if !day.told && (day.elements > quota.elements || day.frames > quota.frames) {
            day.told = true;
            let text = format!(
                "{} elements in {} frames of the day, with a budget of {} in {}",
                day.elements, day.frames, quota.elements, quota.frames
            );
            findings.push(Finding::new(Code::Q07, frame.place(), text));
        }
    }
    for frame in frames {
        let none = Used::default();
        let day = used.get(&(frame.list.as_str(), Date::of(frame.t))).unwrap_or(&none);
        if let Some(text) = without_cause(agency, platform, frame, day) {
            findings.push(Finding::new(Code::Q07, frame.place(), text));
        }
    }
    findings
}

fn quota(agency: &Agency, platform: &Platform, frame: &Asked) -> Option<Quota> {
    let version = agency.manifests.1.version_of(frame.list.as_str(), frame.version);
    platform.budget.or_else(|| version.map(|version| version.manifest.quota))
}

/// Why the refusal cannot have the cause that it names, as far as the logs show. `day` is what the whole day used.
fn without_cause(agency: &Agency, platform: &Platform, frame: &Asked, day: &Used) -> Option<String> {
    let code = frame.code.as_ref()?.as_str();
    let n = frame.n.len() as u64;
    let version = agency.manifests.1.version_of(frame.list.as_str(), frame.version);
    let quota = quota(agency, platform, frame);
    let fits =
        |used: &Used| quota.is_some_and(|quota| used.elements + n <= quota.elements && used.frames < quota.frames);
    let groundless = match code {
        "BUDGET_EXHAUSTED" => fits(day),
        "FRAME_EXCEEDS_BUDGET" => fits(&Used::default()),
        "FRAME_SIZE" => version.is_some_and(|version| version.manifest.frame_sizes().contains(&frame.n)),
        "UNKNOWN_VERSION" => {
            version.is_some_and(|version| version.manifest.epoch == frame.epoch && version.index < frame.view.size)
        }
        "CLOCK_SKEW" => (frame.t.unix() / 60).abs_diff(frame.minute) < MINUTE_SKEW,
        _ => false,
    };
    groundless.then(|| format!("refused with {code}, which the logs do not bear out"))
}
