//! SIP messages as they were seen, by method, code and direction.

use crate::packet::Direction;
use crate::transaction::MethodKind;

/// Codes of IANA's registry of SIP response codes. Each has a label of its own, all others that of their class.
const REGISTERED: [u16; 75] = [
    100, 180, 181, 182, 183, 199, 200, 202, 204, 300, 301, 302, 305, 380, 400, 401, 402, 403, 404, 405, 406, 407, 408,
    410, 412, 413, 414, 415, 416, 417, 420, 421, 422, 423, 424, 425, 428, 429, 430, 433, 436, 437, 438, 439, 440, 469,
    470, 480, 481, 482, 483, 484, 485, 486, 487, 488, 489, 491, 493, 494, 500, 501, 502, 503, 504, 505, 513, 555, 580,
    600, 603, 604, 606, 607, 608,
];

/// Classes of the other codes, and one for what is no code.
const OTHERS: [&str; 7] = ["1xx", "2xx", "3xx", "4xx", "5xx", "6xx", "other"];

const LABELS: usize = REGISTERED.len() + OTHERS.len();
const DIRECTIONS: [Direction; 3] = [Direction::In, Direction::Out, Direction::Transit];

/// A status code as a label: one of a bounded set, whatever a peer sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CodeLabel(u8);

/// The label of each code, worked out once: a message costs one look-up.
const OF_CODES: [CodeLabel; 700] = {
    let mut labels = [CodeLabel(LABELS as u8 - 1); 700];
    let mut code = 100;
    while code < labels.len() {
        labels[code] = CodeLabel((REGISTERED.len() + code / 100 - 1) as u8);
        code += 1;
    }
    let mut index = 0;
    while index < REGISTERED.len() {
        labels[REGISTERED[index] as usize] = CodeLabel(index as u8);
        index += 1;
    }
    labels
};

impl CodeLabel {
    /// Of a code.
    #[must_use]
    pub fn of(code: u16) -> Self {
        OF_CODES.get(usize::from(code)).copied().unwrap_or(Self(LABELS as u8 - 1))
    }

    /// As the label says it: `486`, or `4xx` for a code that is not registered.
    #[must_use]
    pub fn name(self) -> String {
        let index = usize::from(self.0);
        match REGISTERED.get(index) {
            Some(code) => code.to_string(),
            None => OTHERS.get(index.saturating_sub(REGISTERED.len())).copied().unwrap_or("other").to_owned(),
        }
    }
}

/// How many messages were seen. A copy on another hop and a retransmission count; a packet captured twice counts once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageCounts {
    /// By direction and method.
    requests: [[u64; MethodKind::COUNT]; DIRECTIONS.len()],
    /// By direction, method and code.
    responses: Vec<[u64; LABELS]>,
    /// Messages sent again, requests and responses apart, by method.
    repeated: [[u64; MethodKind::COUNT]; 2],
}

impl Default for MessageCounts {
    fn default() -> Self {
        Self {
            requests: [[0; MethodKind::COUNT]; DIRECTIONS.len()],
            responses: vec![[0; LABELS]; DIRECTIONS.len() * MethodKind::COUNT],
            repeated: [[0; MethodKind::COUNT]; 2],
        }
    }
}

impl MessageCounts {
    /// Counts a message. `code`: of a response; `repeated`: it was seen before.
    pub(crate) fn count(&mut self, direction: Direction, method: MethodKind, code: Option<u16>, repeated: bool) {
        let (way, method) = (direction as usize, method as usize);
        let place = match code {
            None => self.requests.get_mut(way).and_then(|methods| methods.get_mut(method)),
            Some(code) => {
                let codes = self.responses.get_mut(way * MethodKind::COUNT + method);
                codes.and_then(|codes| codes.get_mut(usize::from(CodeLabel::of(code).0)))
            }
        };
        if let Some(place) = place {
            *place += 1;
        }
        let kind = usize::from(code.is_some());
        if let Some(place) = self.repeated.get_mut(kind).and_then(|methods| methods.get_mut(method)) {
            *place += u64::from(repeated);
        }
    }

    /// Requests by direction and method.
    pub fn requests(&self) -> impl Iterator<Item = (Direction, MethodKind, u64)> + '_ {
        DIRECTIONS.iter().zip(&self.requests).flat_map(|(direction, methods)| {
            MethodKind::ALL.iter().zip(methods).map(|(method, count)| (*direction, *method, *count))
        })
    }

    /// Responses by direction, method of their request, and code; those that were seen.
    pub fn responses(&self) -> impl Iterator<Item = (Direction, MethodKind, CodeLabel, u64)> + '_ {
        let keys = DIRECTIONS.iter().flat_map(|direction| MethodKind::ALL.iter().map(move |m| (*direction, *m)));
        keys.zip(&self.responses).flat_map(|((direction, method), codes)| {
            let seen = (0..).zip(codes).filter(|(_, count)| **count > 0);
            seen.map(move |(label, count)| (direction, method, CodeLabel(label), *count))
        })
    }

    /// Retransmissions by whether they are responses, and method.
    pub fn repeated(&self) -> impl Iterator<Item = (bool, MethodKind, u64)> + '_ {
        [false, true].into_iter().zip(&self.repeated).flat_map(|(is_response, methods)| {
            MethodKind::ALL.iter().zip(methods).map(move |(method, count)| (is_response, *method, *count))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_message_counts_under_its_method_code_and_direction() {
        let mut counts = MessageCounts::default();
        counts.count(Direction::In, MethodKind::Invite, None, false);
        counts.count(Direction::In, MethodKind::Invite, None, true);
        counts.count(Direction::Out, MethodKind::Invite, Some(486), false);
        let requests: Vec<_> = counts.requests().filter(|(.., n)| *n > 0).collect();
        assert_eq!(requests, [(Direction::In, MethodKind::Invite, 2)]);
        let responses: Vec<_> = counts.responses().collect();
        assert_eq!(responses, [(Direction::Out, MethodKind::Invite, CodeLabel::of(486), 1)]);
        let repeated: Vec<_> = counts.repeated().filter(|(.., n)| *n > 0).collect();
        assert_eq!(repeated, [(false, MethodKind::Invite, 1)]);
    }

    #[test]
    fn whatever_codes_are_sent_the_labels_are_few() {
        let mut counts = MessageCounts::default();
        for code in 0..=u16::MAX {
            counts.count(Direction::In, MethodKind::Other, Some(code), false);
        }
        let labels: Vec<String> = counts.responses().map(|(_, _, label, _)| label.name()).collect();
        assert_eq!(labels.len(), LABELS);
        assert_eq!(counts.responses().map(|(.., n)| n).sum::<u64>(), 65_536, "all are counted");
        let unique: std::collections::BTreeSet<_> = labels.iter().collect();
        assert_eq!(unique.len(), LABELS);
        assert!((0..=u16::MAX).all(|code| labels.contains(&CodeLabel::of(code).name())));
    }

    #[test]
    fn a_code_that_is_not_registered_counts_under_its_class() {
        assert_eq!([499, 486, 700, 42].map(|code| CodeLabel::of(code).name()), ["4xx", "486", "other", "other"]);
    }
}
