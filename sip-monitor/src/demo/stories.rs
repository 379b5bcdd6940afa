//! What is played: one good call and the faults, each with the alerts that it must raise and no other.

use std::time::{Duration, Instant};

use anyhow::Result;

use super::phone::{Call, Media, Side};
use super::stage::Network;
use super::talk::Talk;

/// Code and cause of an alert, and where it says the fault is.
pub type Expected<'a> = (&'a str, &'a str, &'a str);

/// One call of the demonstration.
pub struct Story {
    /// Short name; its Call-ID begins with it.
    pub name: &'static str,
    /// What happens, for people.
    pub title: &'static str,
    /// Each alert it must raise.
    pub expected: &'static [Expected<'static>],
    /// Whether caller and callee have a socket for audio.
    pub media: [Media; 2],
    /// What becomes of the caller's audio on its way.
    pub network: Network,
    /// A program without which it cannot be played.
    pub needs: Option<&'static str>,
    /// Only with `--slow`.
    pub slow: bool,
    /// The script.
    pub play: fn(&mut Call<'_>) -> Result<()>,
}

const STORY: Story = Story {
    name: "",
    title: "",
    expected: &[],
    media: [Media::Open, Media::Open],
    network: Network::Carries,
    needs: None,
    slow: false,
    play: talk_both_ways,
};

/// All of them. They are played at the same time.
pub const STORIES: [Story; 9] = [
    Story {
        name: "good-call",
        title: "a good call with audio both ways",
        expected: &[],
        play: talk_both_ways,
        ..STORY
    },
    Story {
        name: "no-ack",
        title: "the caller never sends an ACK",
        expected: &[("no-ack", "never-seen", "")],
        play: no_ack,
        ..STORY
    },
    Story {
        name: "private-contact",
        title: "the ACK goes to the private address in our Contact",
        expected: &[("no-ack", "contact-private", "local")],
        play: private_contact,
        ..STORY
    },
    Story {
        name: "one-way-audio",
        title: "we send audio, nothing comes back",
        expected: &[("one-way-audio", "never-arrived", "remote")],
        play: one_way_audio,
        ..STORY
    },
    Story {
        name: "blocked-rtp",
        title: "the far end refuses our audio and sends none",
        expected: &[("blocked-rtp", "remote-unreachable", "remote")],
        media: [Media::Refused, Media::Open],
        play: blocked_rtp,
        ..STORY
    },
    Story {
        name: "firewall",
        title: "their audio arrives, and our own nftables drop it",
        expected: &[("one-way-audio", "local-firewall", "local")],
        network: Network::FirewallDrops,
        needs: Some("nft"),
        play: talk_both_ways,
        ..STORY
    },
    Story {
        name: "no-listener",
        title: "their audio arrives at a port that nothing of ours has open",
        expected: &[("blocked-rtp", "no-listener", "local")],
        media: [Media::Open, Media::Refused],
        play: caller_talks,
        ..STORY
    },
    Story {
        name: "lost-on-the-path",
        title: "their audio never arrives, though their RTCP says they send it",
        expected: &[("one-way-audio", "never-arrived", "network")],
        network: Network::PathLoses,
        play: talk_both_ways,
        ..STORY
    },
    Story {
        name: "dropped-after-30s",
        title: "no ACK, and the call is dropped after 32 s",
        expected: &[("no-ack", "never-seen", ""), ("dropped-after-30s", "no-ack", "remote")],
        slow: true,
        play: dropped_after_32_s,
        ..STORY
    },
];

/// Longer than any threshold for absent audio (6 s), so that silence about it means something.
const LONG_ENOUGH: Duration = Duration::from_millis(7_500);

fn talk_both_ways(call: &mut Call<'_>) -> Result<()> {
    call.set_up()?;
    call.acknowledge()?;
    let _audio = audio_both_ways(call)?;
    call.pause(LONG_ENOUGH)?;
    call.hang_up(Side::Caller)
}

fn no_ack(call: &mut Call<'_>) -> Result<()> {
    call.set_up()?;
    let answered = Instant::now();
    let _audio = audio_both_ways(call)?;
    repeat_answer(call, answered, 4_000, |_| Ok(()))?;
    call.hang_up(Side::Callee)
}

fn private_contact(call: &mut Call<'_>) -> Result<()> {
    call.callee.contact = Some(([192, 168, 1, 20], 5060).into());
    call.set_up()?;
    let answered = Instant::now();
    let _audio = audio_both_ways(call)?;
    call.acknowledge()?;
    repeat_answer(call, answered, 4_000, |call| call.acknowledge())?;
    call.hang_up(Side::Callee)
}

fn one_way_audio(call: &mut Call<'_>) -> Result<()> {
    call.set_up()?;
    call.acknowledge()?;
    let _speaks = call.talk(Side::Callee)?;
    let _is_silent = Talk::listen(call.caller.media()?)?;
    call.pause(LONG_ENOUGH)?;
    call.hang_up(Side::Caller)
}

fn caller_talks(call: &mut Call<'_>) -> Result<()> {
    call.set_up()?;
    call.acknowledge()?;
    let _speaks = call.talk(Side::Caller)?;
    call.pause(LONG_ENOUGH)?;
    call.hang_up(Side::Caller)
}

fn blocked_rtp(call: &mut Call<'_>) -> Result<()> {
    call.set_up()?;
    call.acknowledge()?;
    let _speaks = call.talk(Side::Callee)?;
    call.pause(LONG_ENOUGH)?;
    call.hang_up(Side::Caller)
}

fn dropped_after_32_s(call: &mut Call<'_>) -> Result<()> {
    call.set_up()?;
    let answered = Instant::now();
    let _audio = audio_both_ways(call)?;
    repeat_answer(call, answered, 32_000, |_| Ok(()))?;
    call.hang_up(Side::Callee)
}

fn audio_both_ways(call: &Call<'_>) -> Result<[Talk; 2]> {
    Ok([call.talk(Side::Caller)?, call.talk(Side::Callee)?])
}

/// The 200 again after T1, then at doubling intervals up to T2 (RFC 3261 13.3.1.4), until `give_up_ms` after the first;
/// `each` is what the caller does about every one.
fn repeat_answer(
    call: &mut Call<'_>,
    answered: Instant,
    give_up_ms: u64,
    each: fn(&mut Call<'_>) -> Result<()>,
) -> Result<()> {
    let (mut at_ms, mut interval_ms) = (500, 500);
    while at_ms < give_up_ms {
        call.pause((answered + Duration::from_millis(at_ms)).saturating_duration_since(Instant::now()))?;
        call.answer()?;
        each(call)?;
        interval_ms = (interval_ms * 2).min(4_000);
        at_ms += interval_ms;
    }
    call.pause((answered + Duration::from_millis(give_up_ms)).saturating_duration_since(Instant::now()))
}
