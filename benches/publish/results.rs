//! What the turns came to, round by round.

use crate::server::median;
use crate::turn::Figures;

/// The turns of one peer in one case.
#[derive(Default)]
pub struct Turns {
    /// One for each round, until one fails.
    pub figures: Vec<Figures>,
    /// Why it is disqualified.
    pub failure: Option<String>,
}

impl Turns {
    /// Adds a turn.
    pub fn push(&mut self, figures: std::io::Result<Figures>) {
        match figures {
            Ok(figures) => self.figures.push(figures),
            Err(error) => self.failure = Some(error.to_string()),
        }
    }

    /// The median of a figure, if all rounds have it.
    pub fn median(&self, figure: impl Fn(&Figures) -> Option<f64>) -> Option<f64> {
        let figures: Option<Vec<f64>> = self.figures.iter().map(figure).collect();
        figures.filter(|figures| !figures.is_empty() && self.failure.is_none()).map(median)
    }

    /// The median of the ratios within each round: a machine that slows down for a while does not show in it.
    pub fn ratio(&self, base: &Turns, figure: impl Fn(&Figures) -> f64) -> Option<f64> {
        let are_right = self.failure.is_none() && base.failure.is_none();
        let rounds = self.figures.iter().zip(&base.figures);
        let ratios: Vec<f64> = rounds.map(|(own, base)| figure(own) / figure(base)).collect();
        (are_right && !ratios.is_empty()).then(|| median(ratios))
    }
}
