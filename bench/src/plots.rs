//! Cost against size, as pictures: of a frame, and of list and query.

use std::path::Path;

use plotters::{element::DashedPathElement, prelude::*};

use crate::{
    contest::{Contest, Who},
    figures::Figure,
    whole,
};

/// Sizes of frames.
const FRAMES: [usize; 6] = [1, 4, 16, 256, 1_024, 4_096];

/// Width and height of a picture, and the width of what is beside the legend.
const SIZE: (u32, u32) = (820, 440);
const CHART: u32 = 640;

/// Distance of the legend's lines.
const LEGEND_STEP: i32 = 22;

/// Okabe and Ito's colours: told apart by everybody, and on white.
const BLUE: RGBColor = RGBColor(0, 114, 178);
const VERMILION: RGBColor = RGBColor(213, 94, 0);
const GREEN: RGBColor = RGBColor(0, 158, 115);

/// A line of a picture.
struct Series {
    name: &'static str,
    colour: RGBColor,
    dashed: bool,
    points: Vec<(f64, f64)>,
}

/// Writes `cost-by-frame.svg` and `cost-by-size.svg` into a folder. The second takes lists and queries of 1,000 up to
/// `largest`, by powers of ten.
pub fn write(folder: &Path, contest: &mut Contest, stages: &[Figure], largest: u64, rounds: u32) -> anyhow::Result<()> {
    let mut series = Vec::new();
    for (name, who, task, colour, dashed) in [
        ("server", Who::Ours, "server", BLUE, false),
        ("client", Who::Ours, "client", BLUE, true),
        ("server, portable", Who::OursPortable, "server", GREEN, false),
        ("client, portable", Who::OursPortable, "client", GREEN, true),
        ("server, crate voprf", Who::Baseline, "voprf-server", VERMILION, false),
        ("client, crate voprf", Who::Baseline, "voprf-client", VERMILION, true),
    ] {
        series.push(Series { name, colour, dashed, points: by_frame(contest, who, task, rounds)? });
    }
    draw(&folder.join("cost-by-frame.svg"), "Arithmetic on one core", "items in a frame", "µs per item", &series)?;
    let series = by_size(stages, contest.is_vector(), largest)?;
    draw(&folder.join("cost-by-size.svg"), "Time of a whole step", "entries or items", "seconds", &series)
}

fn by_frame(contest: &mut Contest, who: Who, task: &str, rounds: u32) -> anyhow::Result<Vec<(f64, f64)>> {
    let point = |items: usize| {
        let [spread] = contest.measure([(who, task)], items, rounds)?;
        Ok((items as f64, spread.min.as_secs_f64() * 1e6 / items as f64))
    };
    FRAMES.into_iter().map(point).collect()
}

fn by_size(stages: &[Figure], vector: bool, largest: u64) -> anyhow::Result<Vec<Series>> {
    let empty = |name, colour| Series { name, colour, dashed: false, points: Vec::new() };
    let mut series = [empty("import", GREEN), empty("publish", BLUE), empty("scan", VERMILION)];
    let sizes = std::iter::successors(Some(1_000), |size| Some(size * 10)).take_while(|size| *size <= largest);
    for size in sizes {
        let seconds = whole::growing(size, stages, vector)?;
        for (series, seconds) in series.iter_mut().zip(seconds) {
            series.points.push((size as f64, seconds));
        }
    }
    Ok(series.into())
}

/// Both axes by powers of ten: what grows linearly is a line of slope one.
fn draw(path: &Path, title: &str, x: &str, y: &str, series: &[Series]) -> anyhow::Result<()> {
    let points = || series.iter().flat_map(|series| &series.points);
    let ends = |of: fn(&(f64, f64)) -> f64| {
        let low = points().map(of).fold(f64::MAX, f64::min);
        (low, points().map(of).fold(f64::MIN, f64::max))
    };
    let ((left_end, right_end), (low, high)) = (ends(|point| point.0), ends(|point| point.1));
    // Costs between whole powers of ten, so that each of these has its label.
    let (low, high) = (low.log10().floor(), high.log10().ceil());
    let area = SVGBackend::new(path, SIZE).into_drawing_area();
    // Filled, so that it can be read on a dark page, too.
    area.fill(&WHITE)?;
    let (left, right) = area.split_horizontally(CHART);
    let mut chart = ChartBuilder::on(&left)
        .caption(title, ("sans-serif", 20))
        .margin(14)
        .x_label_area_size(46)
        .y_label_area_size(70)
        .build_cartesian_2d(
            (left_end / 1.5..right_end * 1.5).log_scale(),
            (10_f64.powf(low)..10_f64.powf(high)).log_scale(),
        )?;
    chart
        .configure_mesh()
        .x_desc(x)
        .y_desc(y)
        .label_style(("sans-serif", 14))
        .axis_desc_style(("sans-serif", 15))
        .x_labels(8)
        .y_labels((high - low) as usize + 1)
        .max_light_lines(9)
        .x_label_formatter(&number)
        .y_label_formatter(&number)
        .draw()?;
    for (row, series) in (2..).zip(series) {
        let style = series.colour.stroke_width(2);
        let points = series.points.iter().copied();
        let legend = [(4, row * LEGEND_STEP), (36, row * LEGEND_STEP)];
        if series.dashed {
            chart.draw_series(DashedLineSeries::new(points.clone(), 7, 4, style))?;
            right.draw(&DashedPathElement::new(legend, 7, 4, style))?;
        } else {
            chart.draw_series(LineSeries::new(points.clone(), style))?;
            right.draw(&PathElement::new(legend, style))?;
        }
        chart.draw_series(points.map(|point| Circle::new(point, 3, series.colour.filled())))?;
        right.draw(&Text::new(series.name, (44, row * LEGEND_STEP - 7), ("sans-serif", 14)))?;
    }
    area.present()?;
    Ok(())
}

/// `1,000,000`, `10`, `0.1`.
fn number(value: &f64) -> String {
    if *value < 1.0 {
        return value.to_string();
    }
    let digits = format!("{value:.0}");
    let mut grouped = String::new();
    for (at, digit) in digits.char_indices() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_has_its_labels_in_groups_of_three_its_legend_and_nothing_of_where_it_was_made() {
        assert_eq!(
            [0.01, 0.1, 1.0, 10.0, 1e3, 1e6].map(|value| number(&value)),
            ["0.01", "0.1", "1", "10", "1,000", "1,000,000"]
        );
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("picture.svg");
        let line = |name, dashed| Series { name, colour: BLUE, dashed, points: vec![(1.0, 200.0), (4_096.0, 5.0)] };
        draw(&path, "Title", "items", "µs per item", &[line("server", false), line("client", true)]).unwrap();
        let svg = std::fs::read_to_string(&path).unwrap();
        for text in ["Title", "items", "µs per item", "server", "client", "1,000", "100"] {
            assert!(svg.contains(&format!("\n{text}\n")), "{text}: {svg}");
        }
        assert!(!svg.contains(folder.path().to_str().unwrap()));
    }
}
