//! How many events a window has.

pub(super) fn is_outside(observed: f64, below: Option<u64>, above: Option<u64>) -> bool {
    below.is_some_and(|below| observed < below as f64)
        || above.is_some_and(|above| observed > above as f64)
}

pub(super) fn reason(observed: f64, below: Option<u64>, above: Option<u64>) -> String {
    match (below, above) {
        (Some(below), _) if observed < below as f64 => {
            format!("{observed} events, fewer than {below}")
        }
        (_, above) => format!("{observed} events, more than {}", above.unwrap_or_default()),
    }
}

/// Of two bounds the one that is nearer to being passed.
pub(super) fn threshold(
    observed: Option<f64>,
    below: Option<u64>,
    above: Option<u64>,
) -> Option<f64> {
    if let (Some(below), Some(above)) = (below, above) {
        let near_low = observed.is_none_or(|observed| observed <= below as f64);
        return Some(if near_low { below as f64 } else { above as f64 });
    }
    below.or(above).map(|bound| bound as f64)
}
