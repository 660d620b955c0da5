//! The matrix: what each platform asked on each day, and whether both logs say so.

use maud::{Markup, html};

use super::{number, table, text};
use crate::report::{DayCell, PlatformDays, Report};

pub(super) fn section(report: &Report) -> Markup {
    html! {
        @if !report.days.is_empty() {
            section {
                h2 { "Both sides, day by day" }
                p { "Each square is a UTC day, with its date. Frames of the query log and of the platform's match log were joined \
                     by batch, request and response." }
                (legend())
                @for platform in &report.days { (matrix(platform)) }
            }
        }
    }
}

fn legend() -> Markup {
    html! {
        p.legend {
            span { i.day.agree {} "all frames agree, day closed" }
            span { i.day.quiet {} "nothing asked" }
            span { i.day.unclosed {} "agree, not closed" }
            span { i.day.wrong {} "differences or findings" }
        }
    }
}

fn matrix(platform: &PlatformDays) -> Markup {
    let sum = |of: fn(&DayCell) -> u64| platform.days.iter().map(of).sum::<u64>();
    html! {
        div.platform {
            h3 { (platform.platform) }
            p.muted {
                (number(sum(|day| day.agreed))) " frames agree, "
                (number(sum(|day| day.unfinished))) " answered and never finished by the platform, " (number(sum(|day| day.elements))) " elements, "
                (number(sum(|day| day.refused))) " refused, "
                (number(sum(|day| day.query_only + day.match_only + day.differ))) " differ"
            }
            div.days { @for day in &platform.days { (square(day)) } }
            details {
                summary { "Numbers of each day" }
                (numbers(platform))
            }
        }
    }
}

fn state(day: &DayCell) -> &'static str {
    let frames = day.agreed + day.unfinished + day.refused;
    match () {
        () if day.findings + day.query_only + day.match_only + day.differ > 0 => "wrong",
        () if frames == 0 => "quiet",
        () if day.closed => "agree",
        () => "unclosed",
    }
}

fn square(day: &DayCell) -> Markup {
    let date = day.date.get(8..).unwrap_or(&day.date);
    let title = format!(
        "{}: {} frames agree, {} never finished, {} findings",
        day.date, day.agreed, day.unfinished, day.findings
    );
    html! { span class={ "day " (state(day)) } title=(title) { (date) } }
}

fn numbers(platform: &PlatformDays) -> Markup {
    let columns = [
        "Day",
        "Agree",
        "Unfinished",
        "Query log only",
        "Match log only",
        "Differ",
        "Refused",
        "Elements",
        "Closed",
        "Findings",
    ];
    let row = |day: &DayCell| {
        let counts =
            [day.agreed, day.unfinished, day.query_only, day.match_only, day.differ, day.refused, day.elements];
        let counts = counts.map(number);
        let closed = text(if day.closed { "yes" } else { "no" });
        [vec![html! { span.number { (day.date) } }], counts.to_vec(), vec![closed, number(day.findings)]].concat()
    };
    table(&columns, platform.days.iter().map(row))
}
