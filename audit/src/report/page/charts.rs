//! Charts as inline SVG. Bars stretch with the page; words stay outside of them, so that they are as large on a phone.

use maud::{Markup, html};

use super::number;
use crate::report::{CategoryRow, PlatformDays, Report};

/// Height of the chart of days, in its own units.
const HEIGHT: u64 = 100;

pub(super) fn section(report: &Report) -> Markup {
    let days: Vec<&PlatformDays> = report.days.iter().filter(|platform| !platform.days.is_empty()).collect();
    html! {
        @if !days.is_empty() || !report.categories.is_empty() {
            section {
                h2 { "Counts" }
                @if !report.categories.is_empty() { (categories(&report.categories)) }
                @for platform in days { (by_day(platform)) }
            }
        }
    }
}

fn categories(rows: &[CategoryRow]) -> Markup {
    let largest = rows.iter().filter_map(|row| row.receipts.shown()).max().unwrap_or(0).max(1);
    html! {
        figure {
            figcaption { "Released receipts by category of the agency's label" }
            div.bars {
                @for row in rows {
                    div.row {
                        span.name { (row.category) }
                        (bar(row.receipts.shown().unwrap_or(0), largest))
                        span.value { (row.receipts) }
                    }
                }
            }
        }
    }
}

fn bar(value: u64, largest: u64) -> Markup {
    let width = value.saturating_mul(1_000) / largest;
    html! {
        svg.bar viewBox="0 0 1000 10" preserveAspectRatio="none" aria-hidden="true" {
            rect.track width="1000" height="10" {}
            rect.fill width=(width) height="10" {}
        }
    }
}

fn by_day(platform: &PlatformDays) -> Markup {
    let of = |day: &crate::report::DayCell| day.agreed + day.unfinished + day.query_only + day.match_only + day.differ;
    let largest = platform.days.iter().map(of).max().unwrap_or(0).max(1);
    let width = platform.days.len() * 10;
    let (first, last) = (platform.days.first(), platform.days.last());
    html! {
        figure {
            figcaption { "Answered frames by day, " (platform.platform) ". Highest day: " (number(largest)) }
            svg.days viewBox={ "0 0 " (width) " " (HEIGHT) } preserveAspectRatio="none" role="img"
                aria-label={ "Frames by day of " (platform.platform) } {
                @for (at, day) in platform.days.iter().enumerate() {
                    @let whole = of(day).saturating_mul(HEIGHT) / largest;
                    @let differ = (of(day) - day.agreed).saturating_mul(HEIGHT) / largest;
                    rect.fill x=(at * 10 + 1) y=(HEIGHT - whole) width="8" height=(whole) {
                        title { (day.date) ": " (day.agreed) }
                    }
                    @if differ > 0 { rect.differ x=(at * 10 + 1) y=(HEIGHT - whole) width="8" height=(differ) {} }
                }
                line.base x1="0" x2=(width) y1=(HEIGHT) y2=(HEIGHT) {}
            }
            p.axis {
                @if let Some(day) = first { span { (day.date) } }
                @if let Some(day) = last { span { (day.date) } }
            }
        }
    }
}
