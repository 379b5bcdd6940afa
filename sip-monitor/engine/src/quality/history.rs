//! The intervals of one stream: the last two, and a summary of all.

use super::{Interval, Score};

/// Intervals as one witness saw them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct History {
    /// Apart from the rest: a stream that has not lasted for an interval has none.
    recent: Option<Box<Recent>>,
    count: u32,
    lossy: u32,
    worst_loss_percent: f64,
    rated: u32,
    r_sum: f64,
    mos_sum: f64,
    mos_min: f64,
}

/// The last two intervals.
#[derive(Clone, Debug, PartialEq)]
struct Recent {
    last: Interval,
    previous: Option<Interval>,
}

/// What all rated intervals come to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rating {
    /// Lowest MOS of an interval.
    pub mos_min: f64,
    /// Mean MOS.
    pub mos_mean: f64,
    /// Mean R.
    pub r_mean: f64,
}

impl History {
    /// Takes the next interval. `lossy_percent`: above that it counts as lossy.
    pub fn push(&mut self, interval: Interval, lossy_percent: f64) {
        self.count = self.count.saturating_add(1);
        self.lossy = self.lossy.saturating_add(u32::from(interval.loss_percent() > lossy_percent));
        self.worst_loss_percent = self.worst_loss_percent.max(interval.loss_percent());
        if let Some(Score { r, mos, .. }) = interval.score {
            self.mos_min = if self.rated == 0 { mos } else { self.mos_min.min(mos) };
            self.rated = self.rated.saturating_add(1);
            self.r_sum += r;
            self.mos_sum += mos;
        }
        match &mut self.recent {
            Some(recent) => recent.previous = Some(core::mem::replace(&mut recent.last, interval)),
            none => *none = Some(Box::new(Recent { last: interval, previous: None })),
        }
    }

    /// The last interval.
    #[must_use]
    pub fn last(&self) -> Option<&Interval> {
        self.recent.as_ref().map(|recent| &recent.last)
    }

    /// The one right before it; `None` where there is a hole between the two.
    #[must_use]
    pub fn previous(&self) -> Option<&Interval> {
        let Recent { last, previous } = self.recent.as_deref()?;
        previous.as_ref().filter(|previous| last.from.since(previous.until) <= super::INTERVAL / 2)
    }

    /// How many there were.
    #[must_use]
    pub const fn count(&self) -> u32 {
        self.count
    }

    /// How many were lossy.
    #[must_use]
    pub const fn lossy(&self) -> u32 {
        self.lossy
    }

    /// The highest loss of one, percent.
    #[must_use]
    pub const fn worst_loss_percent(&self) -> f64 {
        self.worst_loss_percent
    }

    /// What the rated ones come to; `None` where none was rated.
    #[must_use]
    pub fn rating(&self) -> Option<Rating> {
        let n = f64::from(self.rated);
        (self.rated > 0).then(|| Rating { mos_min: self.mos_min, mos_mean: self.mos_sum / n, r_mean: self.r_sum / n })
    }
}
