//! What is played: one good call and the faults, each with the alerts that it must raise and no other.

use std::time::{Duration, Instant};

use anyhow::Result;

use super::phone::{Call, Media, Side};
use super::talk::Talk;

/// One call of the demonstration.
pub struct Story {
    /// Short name; its Call-ID begins with it.
    pub name: &'static str,
    /// What happens, for people.
    pub title: &'static str,
    /// Code and cause of each alert it must raise.
    pub expected: &'static [(&'static str, &'static str)],
    /// Whether the caller's host has a socket for audio.
    pub caller_media: Media,
    /// Only with `--slow`.
    pub slow: bool,
    /// The script.
    pub play: fn(&mut Call<'_>) -> Result<()>,
}

/// All of them. They are played at the same time.
pub const STORIES: [Story; 6] = [
    Story {
        name: "good-call",
        title: "a good call with audio both ways",
        expected: &[],
        caller_media: Media::Open,
        slow: false,
        play: good_call,
    },
    Story {
        name: "no-ack",
        title: "the caller never sends an ACK",
        expected: &[("no-ack", "never-seen")],
        caller_media: Media::Open,
        slow: false,
        play: no_ack,
    },
    Story {
        name: "private-contact",
        title: "the ACK goes to the private address in our Contact",
        expected: &[("no-ack", "contact-private")],
        caller_media: Media::Open,
        slow: false,
        play: private_contact,
    },
    Story {
        name: "one-way-audio",
        title: "we send audio, nothing comes back",
        expected: &[("one-way-audio", "never-arrived")],
        caller_media: Media::Open,
        slow: false,
        play: one_way_audio,
    },
    Story {
        name: "blocked-rtp",
        title: "the far end refuses our audio and sends none",
        expected: &[("blocked-rtp", "remote-unreachable")],
        caller_media: Media::Refused,
        slow: false,
        play: blocked_rtp,
    },
    Story {
        name: "dropped-after-30s",
        title: "no ACK, and the call is dropped after 32 s",
        expected: &[("no-ack", "never-seen"), ("dropped-after-30s", "no-ack")],
        caller_media: Media::Open,
        slow: true,
        play: dropped_after_32_s,
    },
];

/// Longer than any threshold for absent audio (6 s), so that silence about it means something.
const LONG_ENOUGH: Duration = Duration::from_millis(7_500);

fn good_call(call: &mut Call<'_>) -> Result<()> {
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
