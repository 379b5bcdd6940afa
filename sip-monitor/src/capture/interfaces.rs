//! The interfaces that are watched: those named, or all that are up. One that goes is watched again when it comes back, and where
//! all are watched, one that appears is watched from then on.

use aya::Ebpf;

use super::{
    attach::{Attachment, Loaded},
    error::LiveError,
    live::IngressMode,
    netif::{self, Interface},
};

/// How often an interface that refuses is tried again.
const RETRY_EVERY_NS: u64 = 5_000_000_000;
/// Interfaces watched at most: a host with more makes and removes them all the time, and each is a name that is kept.
const MAX_INTERFACES: usize = 256;

/// How one interface is watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InterfaceStatus {
    /// Its name.
    pub name: String,
    /// Its place in the list of names: [`sip_monitor_engine::Packet::link`].
    pub link: u16,
    /// Its index, where it exists.
    pub ifindex: Option<u32>,
    /// The hook at ingress: `xdp`, `xdp-generic`, `tcx`, `tc`; empty while it is not attached.
    pub ingress: &'static str,
    /// The hook at egress: `tcx` or `tc`; empty while it is not attached.
    pub egress: &'static str,
    /// Why it is not attached, or not as one would expect.
    pub note: Option<String>,
    /// Whether it ought to be watched: it was named, or the kernel has it. Where all interfaces are watched, those of containers
    /// come and go.
    pub is_expected: bool,
}

/// An interface that is watched, also while it is gone.
#[derive(Debug)]
struct Watched {
    name: String,
    attachment: Option<Attachment>,
    note: Option<String>,
    /// The kernel had it when it was looked for last.
    is_there: bool,
    /// Not tried again before this: an interface that refuses the programs does so for long.
    retry_at_ns: u64,
}

impl Watched {
    fn new(name: String) -> Self {
        Self { name, attachment: None, note: None, is_there: true, retry_at_ns: 0 }
    }
}

/// See the module. Dropping it detaches everything.
#[derive(Debug)]
pub(super) struct Interfaces {
    watched: Vec<Watched>,
    loaded: Loaded,
    ingress: IngressMode,
    /// Whether those that appear are to be watched, too.
    all: bool,
    /// Whether it was said that there are too many.
    told_too_many: bool,
}

impl Interfaces {
    /// Those of these names, and with `all` whatever appears. Nothing is attached yet.
    pub(super) fn new(names: Vec<String>, all: bool, loaded: Loaded, ingress: IngressMode) -> Self {
        let watched = names.into_iter().map(Watched::new).collect();
        Self { watched, loaded, ingress, all, told_too_many: false }
    }

    /// Attaches to those that are there and were not; logs what happens.
    pub(super) fn attach_missing(&mut self, ebpf: &mut Ebpf, all: &[Interface], now_ns: u64) {
        for watched in &mut self.watched {
            let Some(interface) = all.iter().find(|i| i.name == watched.name) else { continue };
            if watched.attachment.is_some() || now_ns < watched.retry_at_ns {
                continue;
            }
            let (name, index) = (interface.name.as_str(), interface.index);
            match Attachment::new(ebpf, self.loaded, name, index, self.ingress, interface.ethernet) {
                Ok(attachment) => {
                    let note = attachment.note().map(|n| format!(" ({n})")).unwrap_or_default();
                    tracing::info!("{name}: {} in, {} out{note}", attachment.ingress_mode(), attachment.egress_mode());
                    watched.attachment = Some(attachment);
                    watched.note = None;
                }
                Err(e) => {
                    let text = e.to_string();
                    if watched.note.as_ref() != Some(&text) {
                        tracing::warn!("{text}");
                    }
                    watched.note = Some(text);
                    watched.retry_at_ns = now_ns + RETRY_EVERY_NS;
                }
            }
        }
    }

    /// Lets go of those that are gone. True where one is to be attached.
    pub(super) fn look(&mut self, now_ns: u64) -> bool {
        let mut changed = false;
        for watched in &mut self.watched {
            let index = netif::index_of(&watched.name);
            watched.is_there = index.is_some();
            match &watched.attachment {
                Some(attachment) if Some(attachment.ifindex()) != index => {
                    tracing::warn!("{} is gone; it is watched again when it comes back", watched.name);
                    watched.attachment = None;
                    watched.note = Some("the interface is gone".to_owned());
                    watched.retry_at_ns = 0;
                    changed = true;
                }
                None if index.is_some() => changed |= now_ns >= watched.retry_at_ns,
                Some(_) | None => {}
            }
        }
        changed
    }

    /// Takes in what has appeared, where all interfaces are watched. True where one has.
    pub(super) fn take_new(&mut self, all: &[Interface]) -> bool {
        if !self.all {
            return false;
        }
        let mut has_new = false;
        for interface in all.iter().filter(|i| i.up && !i.loopback) {
            if self.watched.iter().any(|w| w.name == interface.name) {
                continue;
            }
            if !make_place(&mut self.watched, &interface.name, all, MAX_INTERFACES) {
                if !std::mem::replace(&mut self.told_too_many, true) {
                    tracing::warn!(
                        "more than {MAX_INTERFACES} interfaces: {} and those after it are not watched; name \
                         those that matter with -i",
                        interface.name
                    );
                }
                break;
            }
            tracing::info!("{} is new", interface.name);
            has_new = true;
        }
        has_new
    }

    /// Why one of them is not attached, where somebody has to know: one that was named, or all of them.
    pub(super) fn failure(&self) -> Option<String> {
        let matters = !self.all || self.watched.iter().all(|w| w.attachment.is_none());
        let mut failed = self.watched.iter().filter(|w| matters && w.attachment.is_none());
        failed.find_map(|w| w.note.clone())
    }

    /// Index and place of each that is attached.
    pub(super) fn links(&self) -> Vec<(u32, u16)> {
        let links = self.watched.iter().zip(0_u16..);
        links.filter_map(|(w, link)| Some((w.attachment.as_ref()?.ifindex(), link))).collect()
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.watched.iter().map(|w| w.name.clone()).collect()
    }

    pub(super) fn status(&self) -> Vec<InterfaceStatus> {
        let status = |(link, w): (usize, &Watched)| InterfaceStatus {
            name: w.name.clone(),
            link: u16::try_from(link).unwrap_or(u16::MAX),
            ifindex: w.attachment.as_ref().map(Attachment::ifindex),
            ingress: w.attachment.as_ref().map_or("", Attachment::ingress_mode),
            egress: w.attachment.as_ref().map_or("", Attachment::egress_mode),
            note: w.note.clone().or_else(|| w.attachment.as_ref()?.note().map(str::to_owned)),
            is_expected: w.is_there || !self.all,
        };
        self.watched.iter().enumerate().map(status).collect()
    }

    pub(super) fn detach(&mut self) {
        for watched in &mut self.watched {
            watched.attachment = None;
        }
    }
}

/// The interfaces to watch: those `wanted`, or all that are up and not loopback where none is.
///
/// # Errors
/// [`LiveError::NoInterface`], or where they cannot be listed.
pub(super) fn choose(wanted: &[String]) -> Result<Vec<String>, LiveError> {
    let all = netif::interfaces().map_err(|e| LiveError::failed("listing the interfaces", e))?;
    let existing = || all.iter().map(|i| i.name.clone()).collect();
    if let Some(missing) = wanted.iter().find(|name| !all.iter().any(|i| i.name == **name)) {
        return Err(LiveError::NoInterface(missing.clone(), existing()));
    }
    if !wanted.is_empty() {
        let mut names = Vec::new();
        for name in wanted {
            if !names.contains(name) {
                names.push(name.clone());
            }
        }
        return Ok(names);
    }
    let up: Vec<String> = all.iter().filter(|i| i.up && !i.loopback).map(|i| i.name.clone()).collect();
    if up.is_empty() { Err(LiveError::NoInterface(String::new(), existing())) } else { Ok(up) }
}

/// Watches `name`, too: beside the others, or where there are `most` of them in the place of one that is gone for good. (A name
/// that comes back is the same interface to whoever looks.) False where there is no place.
fn make_place(watched: &mut Vec<Watched>, name: &str, all: &[Interface], most: usize) -> bool {
    let is_gone = |w: &&mut Watched| w.attachment.is_none() && all.iter().all(|i| i.name != w.name);
    if watched.len() < most {
        watched.push(Watched::new(name.to_owned()));
    } else if let Some(gone) = watched.iter_mut().find(is_gone) {
        *gone = Watched::new(name.to_owned());
    } else {
        return false;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_is_gone_is_expected_only_where_it_was_named() {
        let expected = |all| {
            let names = ["sipmon-gone", "lo"].map(str::to_owned).into();
            let mut interfaces = Interfaces::new(names, all, Loaded { xdp: false, tcx: false }, IngressMode::Auto);
            interfaces.look(0);
            interfaces.status().iter().map(|status| status.is_expected).collect::<Vec<_>>()
        };
        assert_eq!((expected(true), expected(false)), (vec![false, true], vec![true, true]));
    }

    #[test]
    fn one_that_is_gone_makes_place_and_one_that_is_only_down_does_not() {
        let interface = |name: &str, up| Interface { name: name.to_owned(), up, ..Interface::default() };
        let mut watched = Vec::new();
        let all = [interface("veth1", true), interface("veth2", false), interface("veth3", true)];
        assert!(make_place(&mut watched, "veth1", &all, 2) && make_place(&mut watched, "veth2", &all, 2));
        assert!(!make_place(&mut watched, "veth3", &all, 2), "both are still there");
        assert!(make_place(&mut watched, "veth3", &all[1..], 2));
        let names: Vec<&str> = watched.iter().map(|w| w.name.as_str()).collect();
        assert_eq!(names, ["veth3", "veth2"], "the links of the others stay");
    }
}
