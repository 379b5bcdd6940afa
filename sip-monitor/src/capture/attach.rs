//! Attaches the programs to an interface, in the mode that serves it best, and takes them off again. Everything is a
//! link that ends with its descriptor, so that nothing stays behind even where the daemon is killed; on kernels without
//! tcx (before 6.6) a clsact qdisc is used and removed by whoever made it.

use std::{error::Error, io};

use aya::{
    Ebpf,
    programs::{
        LinkOrder, Program, ProgramError, SchedClassifier, TcAttachType, Xdp,
        tc::{NlOptions, SchedClassifierLink, TcAttachOptions, TcError, qdisc_add_clsact},
        xdp::{XdpLink, XdpMode},
    },
};
use sip_monitor_common::limits::{PROGRAM_TC_EGRESS, PROGRAM_TC_INGRESS, PROGRAM_XDP_INGRESS};

use super::{
    error::{LiveError, chain},
    live::IngressMode,
    netif, qdisc,
};

/// Priority of our filter where tc is used without tcx.
const PRIORITY: u16 = 50;

/// What is attached to one interface. Dropping it takes it off.
#[derive(Debug)]
pub struct Attachment {
    ifindex: u32,
    xdp: Option<XdpLink>,
    ingress: Option<SchedClassifierLink>,
    egress: Option<SchedClassifierLink>,
    made_clsact: bool,
    ingress_mode: &'static str,
    egress_mode: &'static str,
    note: Option<String>,
}

/// Which programs could be loaded.
#[derive(Clone, Copy, Debug)]
pub struct Loaded {
    /// The XDP program; it needs more of the kernel than those for tc.
    pub xdp: bool,
    /// tcx is there; without it, clsact.
    pub tcx: bool,
}

/// Gives the programs to the kernel's verifier.
///
/// # Errors
/// Where tc's programs are refused, or XDP's though it was asked for.
pub fn load_programs(ebpf: &mut Ebpf, ingress: IngressMode, tcx: bool) -> Result<Loaded, LiveError> {
    for name in [PROGRAM_TC_INGRESS, PROGRAM_TC_EGRESS] {
        let program: &mut SchedClassifier = program(ebpf, name)?;
        program.load().map_err(|e| LiveError::caused(&format!("loading the program {name}"), &e))?;
    }
    if ingress == IngressMode::Tc {
        return Ok(Loaded { xdp: false, tcx });
    }
    let program: &mut Xdp = program(ebpf, PROGRAM_XDP_INGRESS)?;
    match program.load() {
        Ok(()) => Ok(Loaded { xdp: true, tcx }),
        // Before 5.18 the kernel has no access to fragments of XDP buffers.
        Err(_) if ingress == IngressMode::Auto => Ok(Loaded { xdp: false, tcx }),
        Err(e) => Err(LiveError::caused("loading the XDP program", &e)),
    }
}

fn program<'e, T>(ebpf: &'e mut Ebpf, name: &str) -> Result<&'e mut T, LiveError>
where
    &'e mut T: TryFrom<&'e mut Program, Error = ProgramError>,
{
    let program = ebpf
        .program_mut(name)
        .ok_or_else(|| LiveError::failed("loading the programs", format!("no {name} in the object")))?;
    program.try_into().map_err(|e: ProgramError| LiveError::caused("loading the programs", &e))
}

impl Attachment {
    /// Attaches to the interface of that name and index.
    ///
    /// # Errors
    /// Where neither the mode asked for nor, with `auto`, tc can be had.
    pub fn new(
        ebpf: &mut Ebpf,
        loaded: Loaded,
        name: &str,
        ifindex: u32,
        mode: IngressMode,
        ethernet: bool,
    ) -> Result<Self, LiveError> {
        let mut this = Self {
            ifindex,
            xdp: None,
            ingress: None,
            egress: None,
            made_clsact: false,
            ingress_mode: "",
            egress_mode: "",
            note: None,
        };
        match mode {
            IngressMode::Xdp => this.attach_xdp(ebpf, name, XdpMode::Driver, "xdp")?,
            IngressMode::XdpGeneric => this.attach_xdp(ebpf, name, XdpMode::Skb, "xdp-generic")?,
            IngressMode::Tc => this.attach_tc_ingress(ebpf, loaded, name)?,
            IngressMode::Auto if loaded.xdp && ethernet && netif::is_hardware(name) => {
                if let Err(e) = this.attach_xdp(ebpf, name, XdpMode::Driver, "xdp") {
                    // Another XDP program sits there, the driver has none, or the MTU is too large for it: tc sees the same.
                    this.note = Some(format!("tc at ingress, since {e}"));
                    this.attach_tc_ingress(ebpf, loaded, name)?;
                }
            }
            IngressMode::Auto => this.attach_tc_ingress(ebpf, loaded, name)?,
        }
        let link = this.attach_tc(ebpf, loaded, name, PROGRAM_TC_EGRESS, TcAttachType::Egress)?;
        this.egress = Some(link);
        this.egress_mode = if loaded.tcx { "tcx" } else { "tc" };
        Ok(this)
    }

    /// The interface's index at the time.
    #[must_use]
    pub fn ifindex(&self) -> u32 {
        self.ifindex
    }

    /// The hook at ingress.
    #[must_use]
    pub fn ingress_mode(&self) -> &'static str {
        self.ingress_mode
    }

    /// The hook at egress.
    #[must_use]
    pub fn egress_mode(&self) -> &'static str {
        self.egress_mode
    }

    /// Why it is not as one would expect.
    #[must_use]
    pub fn note(&self) -> Option<&str> {
        self.note.as_deref()
    }

    fn attach_xdp(&mut self, ebpf: &mut Ebpf, name: &str, mode: XdpMode, word: &'static str) -> Result<(), LiveError> {
        let program: &mut Xdp = program(ebpf, PROGRAM_XDP_INGRESS)?;
        let link = program.attach(name, mode).and_then(|id| program.take_link(id));
        self.xdp = Some(link.map_err(|e| refused(word, name, &e))?);
        self.ingress_mode = word;
        Ok(())
    }

    fn attach_tc_ingress(&mut self, ebpf: &mut Ebpf, loaded: Loaded, name: &str) -> Result<(), LiveError> {
        self.ingress = Some(self.attach_tc(ebpf, loaded, name, PROGRAM_TC_INGRESS, TcAttachType::Ingress)?);
        self.ingress_mode = if loaded.tcx { "tcx" } else { "tc" };
        Ok(())
    }

    fn attach_tc(
        &mut self,
        ebpf: &mut Ebpf,
        loaded: Loaded,
        name: &str,
        program_name: &str,
        hook: TcAttachType,
    ) -> Result<SchedClassifierLink, LiveError> {
        let options = if loaded.tcx {
            // First: a program before ours could end the chain with its verdict, and we would see nothing.
            TcAttachOptions::TcxOrder(LinkOrder::first())
        } else {
            match qdisc_add_clsact(name) {
                Ok(()) => self.made_clsact = true,
                Err(TcError::AlreadyAttached) => {}
                Err(e) if os_error(&e) == Some(libc::EEXIST) => {}
                Err(e) => return Err(refused("clsact", name, &e)),
            }
            TcAttachOptions::Netlink(NlOptions { priority: PRIORITY, ..NlOptions::default() })
        };
        let program: &mut SchedClassifier = program(ebpf, program_name)?;
        let link = program.attach_with_options(name, hook, options).and_then(|id| program.take_link(id));
        link.map_err(|e| refused("tc", name, &e))
    }
}

impl Drop for Attachment {
    fn drop(&mut self) {
        drop((self.xdp.take(), self.ingress.take(), self.egress.take()));
        if self.made_clsact
            && let Err(e) = qdisc::delete_clsact(self.ifindex)
            && !matches!(e.raw_os_error(), Some(libc::ENODEV | libc::ENOENT))
        {
            tracing::warn!("removing the clsact qdisc of interface {}: {e}", self.ifindex);
        }
    }
}

/// An error with what it usually means.
fn refused(word: &str, name: &str, error: &(dyn Error + 'static)) -> LiveError {
    let meaning = match os_error(error) {
        Some(libc::EBUSY | libc::EEXIST) if word.starts_with("xdp") => " (another XDP program is attached there)",
        Some(libc::EOPNOTSUPP) => " (the driver can not do it)",
        Some(libc::ERANGE) if word.starts_with("xdp") => " (the MTU is too large for it)",
        Some(libc::ENODEV) => " (the interface is gone)",
        Some(libc::EPERM | libc::EACCES) => " (CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON are needed)",
        Some(_) | None => "",
    };
    LiveError::Failed(format!("attaching {word} to {name}: {}{meaning}", chain(error)))
}

/// The number the kernel gave, wherever in the chain of causes it stands.
fn os_error(error: &(dyn Error + 'static)) -> Option<i32> {
    let mut next: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(e) = next {
        if let Some(code) = e.downcast_ref::<io::Error>().and_then(io::Error::raw_os_error) {
            return Some(code);
        }
        next = e.source();
    }
    None
}
