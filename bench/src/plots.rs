//! Cost against size, as pictures: of a frame, and of list and query.

use std::path::Path;

use plotters::prelude::*;

use crate::{
    contest::{Contest, Who},
    figures::Figure,
    whole,
};

/// Sizes of frames.
const FRAMES: [usize; 6] = [1, 4, 16, 256, 1_024, 4_096];

/// A line of a picture: its name and its points.
type Series = (&'static str, Vec<(f64, f64)>);

/// Writes `cost-by-frame.svg` and `cost-by-size.svg` into a folder. The second takes lists and queries of 1,000 up to
/// `largest`, by powers of ten.
pub fn write(folder: &Path, contest: &mut Contest, stages: &[Figure], largest: u64, rounds: u32) -> anyhow::Result<()> {
    let mut series = Vec::new();
    for (name, who, task) in [
        ("server", Who::Ours, "server"),
        ("client", Who::Ours, "client"),
        ("server, portable", Who::OursPortable, "server"),
        ("client, portable", Who::OursPortable, "client"),
        ("server, crate voprf", Who::Baseline, "voprf-server"),
        ("client, crate voprf", Who::Baseline, "voprf-client"),
    ] {
        series.push((name, by_frame(contest, who, task, rounds)?));
    }
    draw(&folder.join("cost-by-frame.svg"), "Cost per item and core", "items in a frame", "microseconds", &series)?;
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
    let mut series = [("import", Vec::new()), ("publish", Vec::new()), ("scan", Vec::new())];
    let sizes = std::iter::successors(Some(1_000), |size| Some(size * 10)).take_while(|size| *size <= largest);
    for size in sizes {
        let seconds = whole::growing(size, stages, vector)?;
        for ((_, points), seconds) in series.iter_mut().zip(seconds) {
            points.push((size as f64, seconds));
        }
    }
    Ok(series.into())
}

/// Both axes by powers of ten: what grows linearly is a line of slope one.
fn draw(path: &Path, title: &str, x: &str, y: &str, series: &[Series]) -> anyhow::Result<()> {
    let all = || series.iter().flat_map(|(_, points)| points);
    let range = |of: fn(&(f64, f64)) -> f64| {
        let low = all().map(of).fold(f64::MAX, f64::min);
        let high = all().map(of).fold(f64::MIN, f64::max);
        low / 1.5..high * 1.5
    };
    let area = SVGBackend::new(path, (760, 440)).into_drawing_area();
    area.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&area)
        .caption(title, ("sans-serif", 18))
        .margin(14)
        .x_label_area_size(42)
        .y_label_area_size(64)
        .build_cartesian_2d(range(|point| point.0).log_scale(), range(|point| point.1).log_scale())?;
    chart.configure_mesh().x_desc(x).y_desc(y).draw()?;
    for (number, (name, points)) in series.iter().enumerate() {
        let colour = Palette99::pick(number).to_rgba();
        chart
            .draw_series(LineSeries::new(points.iter().copied(), colour.stroke_width(2)))?
            .label(*name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], colour.stroke_width(2)));
        chart.draw_series(points.iter().map(|point| Circle::new(*point, 3, colour.filled())))?;
    }
    chart.configure_series_labels().background_style(WHITE.mix(0.8)).border_style(BLACK).draw()?;
    area.present()?;
    Ok(())
}
