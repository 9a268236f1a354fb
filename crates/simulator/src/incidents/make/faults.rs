//! What goes wrong.

use watchkeep_model::time::{TimeSpan, Timestamp};

use super::{Dice, minutes, seconds};
use crate::incidents::plan::{Fault, Held};
use crate::simulation::Breakage;

pub(super) fn of(
    dice: &mut Dice,
    instances: usize,
    from: Timestamp,
    span: TimeSpan,
) -> Vec<(Timestamp, Fault)> {
    let count = dice.one_of(&[0, 5, 15, 40]);
    let mut faults: Vec<(Timestamp, Fault)> = (0..count)
        .map(|_| {
            let at = from + dice.span(span);
            (at, fault(dice, instances))
        })
        .collect();
    faults.sort_by_key(|(at, _)| *at);
    faults
}

fn fault(dice: &mut Dice, instances: usize) -> Fault {
    let lasts = dice.one_of(&[seconds(1), minutes(1), minutes(15)]);
    let lasts = dice.span(lasts);
    let instance = dice.between(0, instances as i64 - 1) as usize;
    match dice.between(0, 14) {
        0..=2 => Fault::Crash(instance, lasts),
        3..=7 => Fault::Break(dice.one_of(&[
            Breakage::DiesBefore,
            Breakage::DiesAfter,
            Breakage::AnswerLost,
            Breakage::RequestLost,
        ])),
        8 => Fault::Abort,
        9 => Fault::Fence(instance),
        10 => Fault::Rebalance,
        11 => Fault::Outage(lasts),
        12 => Fault::Hold(dice.one_of(&[Held::Breaches, Held::Windows, Held::Responses]), lasts),
        13 => {
            let by = [minutes(-60), seconds(-30), TimeSpan::ZERO, seconds(30), minutes(60)];
            Fault::Skew(instance, dice.one_of(&by))
        }
        _ => Fault::Dribble(dice.one_of(&[1, 2, 1000])),
    }
}
