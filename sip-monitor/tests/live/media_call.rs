//! One call of the matrix: the programs at its ends, the fault in its way or nothing, from the first INVITE to the BYE.

use anyhow::{Context as _, Result};

use crate::media_faults::{Fault, Make};
use crate::media_scene::{SIPP_RTP, Scene, UP, call};
use crate::programs::baresip::Phone;
use crate::programs::relay::User;
use crate::programs::rtpengine::Rtpengine;
use crate::sipp::{self, Sipp};

/// One call, with the fault or without.
pub struct Played {
    pub fault: &'static Fault,
    pub broken: bool,
    /// Number of its addresses, and of those of the callee behind the relay or of the peer's media.
    pub n: usize,
    other: usize,
    /// The part of its Call-ID before the `@`.
    pub key: String,
    pub phone: Option<Phone>,
    peer: Option<Phone>,
    relay: Option<Rtpengine>,
    callee: Option<sipp::Running>,
    caller: Option<sipp::Running>,
}

impl Played {
    pub fn new(scene: &mut Scene, fault: &'static Fault, broken: bool) -> Self {
        let (n, other) = (scene.number(), scene.number());
        let key = format!("{}-{}", fault.name, if broken { "broken" } else { "good" });
        let (phone, peer, relay, callee, caller) = (None, None, None, None, None);
        Self { fault, broken, n, other, key, phone, peer, relay, callee, caller }
    }

    /// Puts the fault in place and starts who answers.
    pub fn prepare(&mut self, scene: &Scene) -> Result<()> {
        let make = self.fault.make;
        if make == Make::StrictReversePath {
            scene.talk_from(self.n, scene.world.peer(self.other).ip())?;
        }
        if !make.is_relayed() && make != Make::LongWay {
            scene.talk_from(self.n, scene.world.peer(self.n).ip())?;
        }
        if self.broken {
            self.make_fault(scene)?;
        }
        if make.is_relayed() {
            self.relay = Some(scene.rtpengine(self.n)?);
            let callee = Sipp::answers(&scene.world, "media_uas.xml", scene.world.peer(self.other));
            let is_silent = self.broken && matches!(make, Make::RelayCalleeSilent | Make::RelayAllSilent);
            let callee = callee.set(if is_silent { &["silent"] } else { &[] });
            self.callee = Some(callee.key("audio_port", &SIPP_RTP.to_string()).start()?);
            return Ok(());
        }
        let mut phone = scene.phone(self.n);
        if self.broken && matches!(make, Make::NoMicrophone | Make::AllSilent) {
            phone = phone.without_sound();
        }
        self.phone = Some(phone.start()?);
        if make.needs_rtcp() {
            let phone = match make {
                Make::LongWay => scene.far_phone(u8::from(!self.broken), self.n)?,
                _ => scene.peer_phone(self.n),
            };
            self.peer = Some(phone.start()?);
        }
        Ok(())
    }

    fn make_fault(&self, scene: &Scene) -> Result<()> {
        let (world, table) = (&scene.world, self.table());
        let (host, outside) = (&world.pair.monitored, &world.pair.outside);
        let (here, peer, callee) = (world.host(self.n).ip(), world.peer(self.n).ip(), world.peer(self.other).ip());
        let port = Scene::rtp_port(self.n);
        let for_phone = format!("ip daddr {here} udp dport {port} drop");
        match self.fault.make {
            Make::InputRule | Make::RuleForAWhile => scene.rule(host, &table, "input", &for_phone),
            Make::PreroutingRule => scene.rule(host, &table, "prerouting", &for_phone),
            Make::OutputRule => scene.rule(host, &table, "output", &format!("ip saddr {here} udp sport {port} drop")),
            Make::StrictReversePath => scene.reach_by_second_way(self.n, callee),
            Make::RewrittenPort => {
                let rule = format!("ip daddr {here} udp dport {port} udp dport set {}", port + 2_000);
                scene.rule(outside, &table, "output", &rule)
            }
            Make::PeerRejects => {
                let rule = format!("ip daddr {peer} udp dport {SIPP_RTP} reject with icmp type admin-prohibited");
                scene.rule(outside, &table, "input", &rule)
            }
            Make::PeerDrops => {
                let rule = format!("ip daddr {peer} udp dport {port} quota over 20000 bytes drop");
                scene.rule(outside, &table, "input", &rule)
            }
            Make::LongWay => scene.lengthen_way(0, self.n),
            Make::RelayCallerRule => {
                scene.rule(host, &table, "input", &format!("ip saddr {peer} ip daddr {here} drop"))
            }
            Make::RelayCalleeRule => {
                scene.rule(host, &table, "input", &format!("ip saddr {callee} ip daddr {here} drop"))
            }
            Make::RelayOutputRule => {
                scene.rule(host, &table, "output", &format!("ip saddr {here} ip daddr {callee} drop"))
            }
            Make::RelayInputRule => scene.rule(host, &table, "input", &format!("ip daddr {here} drop")),
            Make::FrozenPhone
            | Make::PrivateAddress
            | Make::PeerListensNowhere
            | Make::NoMicrophone
            | Make::PeerSilent
            | Make::AllSilent
            | Make::PeerStops
            | Make::RelayCalleeSilent
            | Make::RelayAllSilent
            | Make::RelayForgets
            | Make::RelayFrozen => Ok(()),
        }
    }

    /// Name of its table in nftables.
    pub fn table(&self) -> String {
        self.key.replace('-', "_")
    }

    /// The user that the proxy must know.
    pub fn user(&self, scene: &Scene) -> Option<User> {
        let rtpengine = self.relay.as_ref()?.socket_name();
        Some(User { name: format!("user{}", self.n), at: scene.world.peer(self.other), rtpengine })
    }

    pub fn begin(&mut self, scene: &Scene) -> Result<()> {
        let make = self.fault.make;
        if let Some(peer) = &mut self.peer {
            let log = || self.phone.as_ref().map(|phone| phone.program.log()).unwrap_or_default();
            self.key = call(peer, &format!("sip:pbx@{}", scene.world.host(self.n))).with_context(log)?;
            return Ok(());
        }
        let (from, to) = (scene.world.peer(self.n), scene.world.host(if make.is_relayed() { 0 } else { self.n }));
        let mut caller = Sipp::calls_to(&scene.world, "media_uac.xml", from, to, &self.key);
        let (mut audio_ip, mut audio_port) = (scene.world.peer(self.n).ip().to_string(), SIPP_RTP);
        // Longer than all that is done to it, and shorter than 20 s: from then on the end of a call without audio is told, too.
        let mut seconds = 19;
        if make == Make::StrictReversePath {
            audio_ip = scene.world.peer(self.other).ip().to_string();
            caller = caller.args(&["-mi", &audio_ip]);
        }
        if self.broken {
            match make {
                Make::PrivateAddress => audio_ip = "192.168.1.20".to_owned(),
                Make::PeerListensNowhere => (caller, audio_port) = (caller.set(&["silent"]), 7_000),
                Make::PeerSilent | Make::AllSilent | Make::RelayAllSilent => caller = caller.set(&["silent"]),
                Make::PeerStops => (caller, seconds) = (caller.set(&["stops"]), 18),
                _ => {}
            }
        }
        let user = if make.is_relayed() { format!("user{}", self.n) } else { "pbx".to_owned() };
        let keys = [("user", user), ("audio_ip", audio_ip), ("audio_port", audio_port.to_string())];
        self.caller = Some(caller.keys(&keys).talk_ms(seconds * 1_000).start()?);
        Ok(())
    }

    /// Hangs up and waits until all is done.
    pub fn end(&mut self) -> Result<()> {
        if let Some(peer) = &mut self.peer {
            peer.hang_up()?;
        }
        if let Some(caller) = self.caller.take() {
            caller.wait(UP)?;
        }
        if let Some(callee) = self.callee.take() {
            callee.wait(UP)?;
        }
        Ok(())
    }

    pub fn relay(&self) -> Result<&Rtpengine> {
        self.relay.as_ref().context("its relay")
    }

    pub fn call_id(&self) -> String {
        let process = self.caller.as_ref().map_or(0, sipp::Running::id);
        format!("{}@1-{process}", self.key)
    }
}

impl Make {
    fn is_relayed(self) -> bool {
        matches!(
            self,
            Self::RelayCallerRule
                | Self::RelayCalleeRule
                | Self::RelayOutputRule
                | Self::RelayInputRule
                | Self::RelayCalleeSilent
                | Self::RelayAllSilent
                | Self::RelayForgets
                | Self::RelayFrozen
        )
    }

    /// Whether the peer must be a telephone with RTCP.
    fn needs_rtcp(self) -> bool {
        matches!(self, Self::PeerDrops | Self::LongWay)
    }
}
