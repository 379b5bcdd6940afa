//! The E-model: ITU-T G.107 for narrowband codecs, G.107.1 for wideband ones.
//!
//! What packets do not tell (loudness, echo, noise) stands at the default values of the Recommendations: what is left of
//! R = Ro - Is - Id - Ie,eff + A is `R_DEFAULT` less the impairments by delay, codec and loss.

use super::{Band, CodecQuality};

/// R with every input at its default (G.107 table 3).
const R_DEFAULT: f64 = 93.2;
/// The same of the wideband model, whose scale goes up to it (G.107.1 7.2).
const R_DEFAULT_WIDE: f64 = 129.0;
/// Wideband R over narrowband R for the same opinion (G.107.1 Annex A).
const SCALE: f64 = 1.29;
/// Highest equipment impairment (G.107 7.5).
const IE_MAX: f64 = 95.0;
/// Delay up to this costs nothing (G.107 7.4, mT), milliseconds.
const FREE_DELAY_MS: f64 = 100.0;

/// What the packets of an interval went through.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Conditions {
    /// Lost, or too late to be played, percent (not a fraction).
    pub loss_percent: f64,
    /// Mean length of a run of lost packets over what it would be at random loss; 1 where that is unknown.
    pub burst_ratio: f64,
    /// Mouth to ear, milliseconds.
    pub delay_ms: f64,
}

/// What the E-model says. Wideband values are given on the narrowband scale, 0 to 100.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Score {
    /// Transmission rating factor R.
    pub r: f64,
    /// Mean opinion score, conversational, estimated: MOS-CQE.
    pub mos: f64,
    /// What the codec costs.
    pub codec: f64,
    /// What loss costs on top.
    pub loss: f64,
    /// What delay costs.
    pub delay: f64,
}

impl Score {
    /// Rates a codec under the conditions given.
    #[must_use]
    pub fn new(codec: &CodecQuality, conditions: &Conditions) -> Self {
        let loss = loss_impairment(codec, conditions);
        let delay = delay_impairment(conditions.delay_ms);
        let (r, codec, loss) = match codec.band {
            Band::Narrow => (R_DEFAULT - delay - codec.ie - loss, codec.ie, loss),
            Band::Wide => ((R_DEFAULT_WIDE - SCALE * delay - codec.ie - loss) / SCALE, codec.ie / SCALE, loss / SCALE),
        };
        let r = r.clamp(0.0, 100.0);
        Self { r, mos: mos(r), codec, loss, delay }
    }
}

/// `Ie,eff - Ie`, with `Ie,eff = Ie + (95 - Ie) Ppl / (Ppl / BurstR + Bpl)` (G.107 7.5).
fn loss_impairment(codec: &CodecQuality, conditions: &Conditions) -> f64 {
    let loss = conditions.loss_percent.clamp(0.0, 100.0);
    let room = IE_MAX - codec.ie;
    (room * loss / (loss / conditions.burst_ratio.max(1.0) + codec.bpl)).min(room)
}

/// Idd for an absolute delay (G.107 7.4), echo being cancelled:
/// `25 ((1 + X^6)^(1/6) - 3 (1 + (X/3)^6)^(1/6) + 2)`, `X = lg(Ta / 100) / lg 2`.
fn delay_impairment(delay_ms: f64) -> f64 {
    if delay_ms <= FREE_DELAY_MS {
        return 0.0;
    }
    let x = (delay_ms / FREE_DELAY_MS).log2();
    let root = |value: f64| (1.0 + value.powi(6)).powf(1.0 / 6.0);
    25.0 * (root(x) - 3.0 * root(x / 3.0) + 2.0)
}

/// MOS from R (G.107 Annex B, G.107.1 Annex A).
fn mos(r: f64) -> f64 {
    if r <= 0.0 {
        return 1.0;
    }
    if r >= 100.0 {
        return 4.5;
    }
    // The cubic dips below 1 for R under 6.5.
    (1.0 + 0.035 * r + r * (r - 60.0) * (100.0 - r) * 7e-6).max(1.0)
}

#[cfg(test)]
mod tests {
    use super::super::codec_quality;
    use super::*;

    fn score(codec: &str, loss_percent: f64, burst_ratio: f64, delay_ms: f64) -> Score {
        Score::new(&codec_quality(codec).unwrap(), &Conditions { loss_percent, burst_ratio, delay_ms })
    }

    fn near(found: f64, wanted: f64) -> bool {
        (found - wanted).abs() <= 0.05
    }

    /// Ro, Is and Id of G.107 7.2 to 7.4 with every parameter at the default of table 3, no delay and echo as it is there.
    fn default_r() -> f64 {
        let power = |x: f64| 10_f64.powf(x / 10.0);
        let (slr, rlr, stmr, ds, dr_pr): (f64, f64, f64, f64, f64) = (8.0, 2.0, 15.0, 3.0, 35.0);
        let (telr, wepl, ps, nc, nfor, lstr): (f64, f64, f64, f64, f64, f64) = (65.0, 110.0, 35.0, -70.0, -64.0, 18.0);
        let olr = slr + rlr;
        let nos = ps - slr - ds - 100.0 + 0.004 * (ps - olr - ds - 14.0).powi(2);
        let pre = dr_pr + 10.0 * (1.0 + power(10.0 - lstr)).log10();
        let nor = rlr - 121.0 + pre + 0.008 * (pre - 35.0).powi(2);
        let no = 10.0 * (power(nc) + power(nos) + power(nor) + power(nfor + rlr)).log10();
        let ro = 15.0 - 1.5 * (slr + no);
        let xolr = olr + 0.2 * (64.0 + no - rlr);
        let iolr = 20.0 * ((1.0 + (xolr / 8.0).powi(8)).powf(1.0 / 8.0) - xolr / 8.0);
        let stmro = -10.0 * (power(-stmr) + power(-telr)).log10();
        let ist = 12.0 * (1.0 + ((stmro - 13.0) / 6.0).powi(8)).powf(1.0 / 8.0)
            - 28.0 * (1.0 + ((stmro + 1.0) / 19.4).powi(35)).powf(1.0 / 35.0)
            - 13.0 * (1.0 + ((stmro - 3.0) / 33.0).powi(13)).powf(1.0 / 13.0)
            + 29.0;
        let q: f64 = 37.0;
        let g = 1.07 + 0.258 * q + 0.0602 * q * q;
        let (y, z) = ((ro - 100.0) / 15.0 + 46.0 / 8.4 - g / 9.0, 46.0 / 30.0 - g / 40.0);
        let iq = 15.0 * (1.0 + 10_f64.powf(y) + 10_f64.powf(z)).log10();
        let rle = 10.5 * (wepl + 7.0);
        let idle = (ro - rle) / 2.0 + ((ro - rle).powi(2) / 4.0 + 169.0).sqrt();
        ro - (iolr + ist + iq) - idle
    }

    #[test]
    fn the_formulas_of_g_107_at_their_defaults_give_93_2_and_a_mos_of_4_41() {
        assert!(near(default_r(), R_DEFAULT), "{}", default_r());
        let clean = score("PCMU", 0.0, 1.0, 0.0);
        assert!(near(clean.r, 93.2) && near(clean.mos, 4.41), "{clean:?}");
    }

    #[test]
    fn r_becomes_mos_as_annex_b_tabulates_it() {
        for (r, wanted) in
            [(90.0, 4.34), (80.0, 4.03), (70.0, 3.60), (60.0, 3.10), (50.0, 2.58), (0.0, 1.0), (100.0, 4.5)]
        {
            assert!(near(mos(r), wanted), "R {r}: {}", mos(r));
        }
    }

    #[test]
    fn codecs_without_loss_are_as_good_as_g_113_has_them() {
        for (codec, r, wanted) in [("G729", 82.2, 4.11), ("G723", 78.2, 3.96), ("GSM", 73.2, 3.74), ("AMR", 88.2, 4.29)]
        {
            let found = score(codec, 0.0, 1.0, 0.0);
            assert!(near(found.r, r) && near(found.mos, wanted), "{codec}: {found:?}");
        }
    }

    #[test]
    fn loss_is_a_percentage_and_costs_what_the_formula_says() {
        // 95 * 5 / (5 + 25.1) = 15.78; 84 * 3 / (3 + 19) = 11.45.
        let found = score("PCMA", 5.0, 1.0, 0.0);
        assert!(near(found.r, 77.42) && near(found.mos, 3.93), "{found:?}");
        let found = score("G729", 3.0, 1.0, 0.0);
        assert!(near(found.r, 70.75) && near(found.mos, 3.63), "{found:?}");
        assert!(near(score("PCMA", 100.0, 50.0, 0.0).r, 0.0), "all of it gone");
    }

    #[test]
    fn loss_in_bursts_costs_more() {
        // 95 * 5 / (5 / 2 + 25.1) = 17.21.
        assert!(near(score("PCMA", 5.0, 2.0, 0.0).r, 75.99));
    }

    #[test]
    fn delay_costs_nothing_up_to_100_ms_and_24_at_400() {
        assert!(near(delay_impairment(100.0), 0.0));
        assert!(near(delay_impairment(150.0), 0.16), "{}", delay_impairment(150.0));
        assert!(near(delay_impairment(400.0), 24.07), "{}", delay_impairment(400.0));
        assert!(near(score("PCMU", 0.0, 1.0, 400.0).mos, 3.56));
    }

    #[test]
    fn wideband_is_rated_on_its_own_scale() {
        // (129 - 13) / 1.29 = 89.9.
        let found = score("G722", 0.0, 1.0, 0.0);
        assert!(near(found.r, 89.92) && near(found.mos, 4.33), "{found:?}");
    }

    #[test]
    fn the_modes_of_amr_wb_are_as_good_as_g_107_1_rates_the_factors_of_g_113() {
        // Ie,WB of 23.05, 23.85, 12.65, 8.85 and 6.6 kbit/s (G.113 table IV.1) through G.107.1 (7-1), (A-1), (A-2).
        for (ie, wanted) in [(0.0, 4.5), (1.0, 4.49), (8.0, 4.42), (13.0, 4.34), (26.0, 4.02), (41.0, 3.51)] {
            let codec = CodecQuality { band: Band::Wide, ie, bpl: 4.3 };
            let found = Score::new(&codec, &Conditions { loss_percent: 0.0, burst_ratio: 1.0, delay_ms: 0.0 });
            assert!(near(found.mos, wanted), "Ie,WB {ie}: {found:?}");
        }
        // 20 + (95 - 20) * 2 / (2 + 4.3) = 43.81: the 95 of the narrowband formula stays (G.107.1 (7-15)).
        let lossy = CodecQuality { band: Band::Wide, ie: 20.0, bpl: 4.3 };
        let found = Score::new(&lossy, &Conditions { loss_percent: 2.0, burst_ratio: 1.0, delay_ms: 0.0 });
        assert!(near(found.mos, 3.41), "{found:?}");
    }
}
