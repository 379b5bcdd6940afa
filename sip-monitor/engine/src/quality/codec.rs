//! What a codec costs: equipment impairment factor and robustness against loss.

/// Which E-model applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Band {
    /// 300 to 3,400 Hz: ITU-T G.107.
    Narrow,
    /// 50 to 7,000 Hz: ITU-T G.107.1.
    Wide,
}

/// A codec as the E-model sees it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CodecQuality {
    /// Which model, and so which scale `ie` is on.
    pub band: Band,
    /// Equipment impairment factor without loss: Ie, or Ie,WB.
    pub ie: f64,
    /// Packet-loss robustness factor, with the codec's own concealment: Bpl.
    pub bpl: f64,
}

const fn narrow(ie: f64, bpl: f64) -> CodecQuality {
    CodecQuality { band: Band::Narrow, ie, bpl }
}

const fn wide(ie: f64, bpl: f64) -> CodecQuality {
    CodecQuality { band: Band::Wide, ie, bpl }
}

/// The factors of the codec of that encoding name; `None` where none are known, and then there is no MOS.
///
/// Provisional planning values of ITU-T G.113 (09/2024; those of Appendix I are the same since 02/2001). Appendix I: G.711
/// with concealment (0, 25.1), G.729A with VAD (11, 19.0), G.723.1 at 6.3 kbit/s with VAD (15, 16.1), GSM EFR (5, 10.0), Ie of
/// GSM full rate (20). It has no row for AMR, whose mode of 12.2 kbit/s is GSM EFR bit by bit. Appendix IV: Ie,WB of G.722 at
/// 64 kbit/s and of G.722.2 (AMR-WB) at 12.65 kbit/s (13, table IV.1) and Bpl,WB of that mode (4.3, table IV.4); the modes of
/// AMR-WB span Ie,WB 1 to 41 (23.05 and 6.6 kbit/s), and which one a sender uses does not stand in its name.
///
/// What the tables do not give is set here, on the cautious side, and not the ITU's: Bpl of GSM full rate (that of EFR), both
/// of iLBC (its loss curve lies above G.729A's), Bpl of G.722 (concealment as good as GSM EFR's), both of Opus.
#[must_use]
pub fn codec_quality(name: &str) -> Option<CodecQuality> {
    const KNOWN: [(&str, CodecQuality); 12] = [
        ("PCMU", narrow(0.0, 25.1)),
        ("PCMA", narrow(0.0, 25.1)),
        ("G729", narrow(11.0, 19.0)),
        ("G729A", narrow(11.0, 19.0)),
        ("G723", narrow(15.0, 16.1)),
        ("GSM", narrow(20.0, 10.0)),
        ("GSM-EFR", narrow(5.0, 10.0)),
        ("AMR", narrow(5.0, 10.0)),
        ("iLBC", narrow(11.0, 32.0)),
        ("G722", wide(13.0, 10.0)),
        ("AMR-WB", wide(13.0, 4.3)),
        ("opus", wide(5.0, 20.0)),
    ];
    KNOWN.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, quality)| *quality)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_in_either_case() {
        assert_eq!(codec_quality("pcmu"), Some(narrow(0.0, 25.1)));
        assert_eq!(codec_quality("OPUS").map(|c| c.band), Some(Band::Wide));
        assert_eq!(codec_quality("telephone-event"), None);
    }
}
