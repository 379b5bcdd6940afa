//! Names of codecs as labels: SDP may name anything.

/// Those that have a label of their own.
const KNOWN: [&str; 26] = [
    "AMR", "AMR-WB", "BV16", "CN", "DVI4", "EVS", "G722", "G722.1", "G723", "G726-16", "G726-24", "G726-32", "G726-40",
    "G728", "G729", "GSM", "GSM-EFR", "H264", "L16", "PCMA", "PCMU", "SILK", "VP8", "iLBC", "opus", "speex",
];

/// The registered name of a codec, or `other`: a bounded set whatever stands in SDP.
#[must_use]
pub fn codec_label(name: &str) -> &'static str {
    KNOWN.iter().copied().find(|known| known.eq_ignore_ascii_case(name)).unwrap_or("other")
}

#[cfg(test)]
mod tests {
    use super::codec_label;

    #[test]
    fn a_codec_is_known_in_either_case_and_all_others_are_one() {
        assert_eq!([codec_label("pcma"), codec_label("OPUS"), codec_label("x-1234")], ["PCMA", "opus", "other"]);
    }
}
