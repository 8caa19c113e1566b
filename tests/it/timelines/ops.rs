//! What may happen to a random life, and by which rules.

use proptest::prelude::*;

/// What may happen.
#[derive(Debug, Clone)]
pub enum Op {
    Ack { task: u16, answer: u8, late: bool },
    AckAgain,
    Forged { task: u16 },
    Pass { hours: u32 },
    Rotated { set: usize, hours_ago: u32 },
    Locked { set: usize, hours_ago: u32, days: u32 },
    Restored { source: usize, hours_ago: u32 },
    Hold { name: u8, on: usize },
    Release { name: u8 },
    Review,
}

pub fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        8 => (0u16..12, 0u8..9, prop::bool::weighted(0.1)).prop_map(|(task, answer, late)| Op::Ack { task, answer, late }),
        1 => Just(Op::AckAgain),
        1 => (0u16..12).prop_map(|task| Op::Forged { task }),
        6 => (1u32..400).prop_map(|hours| Op::Pass { hours }),
        3 => (0usize..2, 0u32..500).prop_map(|(set, hours_ago)| Op::Rotated { set, hours_ago }),
        1 => (0usize..2, 0u32..500, 0u32..40).prop_map(|(set, hours_ago, days)| Op::Locked { set, hours_ago, days }),
        1 => (0usize..3, 0u32..800).prop_map(|(source, hours_ago)| Op::Restored { source, hours_ago }),
        1 => (0u8..3, 0usize..4).prop_map(|(name, on)| Op::Hold { name, on }),
        2 => (0u8..3).prop_map(|name| Op::Release { name }),
        1 => Just(Op::Review),
    ]
}

/// Three sources, two sets, with rules that differ from case to case.
pub fn rules() -> impl Strategy<Value = String> {
    let by = prop::sample::select(vec!["event", "ack", "schedule"]);
    let source = prop::sample::select(vec![
        "",
        "verify=3d",
        "sweep=2d",
        "categories=a,b retain=a:20d",
        "after=s0",
    ]);
    (by.clone(), by, any::<bool>(), source.clone(), source).prop_map(|(first, second, key, one, two)| {
        let key = if key { "key" } else { "" };
        let one = if one == "after=s0" { one } else { "" };
        format!("s0\ns1 {one}\ns2 {two}\nnightly of=s0,s1,s2 keep=10d by={first} {key}\nweekly of=s1 keep=20d by={second}")
    })
}

/// Two events that commute.
pub fn commuting() -> impl Strategy<Value = (Op, Op)> {
    let rotated = || (0usize..2, 0u32..500).prop_map(|(set, hours_ago)| Op::Rotated { set, hours_ago });
    let hold = |name: u8| (0usize..4).prop_map(move |on| Op::Hold { name, on });
    let no_success = (0u16..12, 4u8..6).prop_map(|(task, answer)| Op::Ack {
        task,
        answer,
        late: false,
    });
    prop_oneof![
        (rotated(), rotated()),
        (hold(0), hold(1)),
        (hold(0), rotated()),
        (Just(Op::Release { name: 0 }), Just(Op::Release { name: 1 })),
        (hold(0), no_success),
    ]
}
