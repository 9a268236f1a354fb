//! The kinds of faults that are planted.

/// What is planted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Shape {
    /// One node breaks, watched itself; nothing between it and the features is.
    Watched,
    /// One node breaks; it and everything below it shows.
    Propagated,
    /// One node breaks and shows; of what lies between only some is watched.
    Gaps,
    /// One node breaks that is not watched.
    Unwatched,
    /// The same, and a fifth of what it feeds does not show it.
    Partial,
    /// Two nodes break, each watched.
    TwoWatched,
    /// Two nodes break that are not watched.
    TwoUnwatched,
    /// A view breaks; a source of all views is well and not watched.
    Popular,
    /// A view breaks and shows; a source of all views shows a fault of its own
    /// that reaches nobody.
    PopularNoisy,
    /// A node breaks; another that breaks was its source long ago.
    Stale,
    /// A node breaks that is not watched, and a feature elsewhere by itself.
    Beside,
    /// One or two features break by themselves.
    Features,
    /// Features of which no source is known.
    Unknown,
    /// A run of a pipeline failed; edges are known from runs alone.
    FailedRun,
    /// Runs of two pipelines failed.
    TwoFailedRuns,
    /// A run failed and what is made from it is well; a feature elsewhere is not.
    WellRun,
    /// A run failed of a pipeline whose owner only the runs tell.
    OwnedByRuns,
    /// Three nodes break, each watched.
    ThreeWatched,
    /// A node breaks that is not watched; one between it and all its features shows.
    Between,
    /// A view breaks that is not watched; just enough of its features show it.
    JustEnough,
    /// Features of a view break by themselves; together just too few of its features.
    TooFew,
    /// Features of which the only source has not been seen for a month break, and
    /// that source with them.
    Forgotten,
}

impl Shape {
    /// Every shape, in the order in which seeds take them.
    pub const ALL: [Self; 22] = [
        Self::Watched,
        Self::Propagated,
        Self::Gaps,
        Self::Unwatched,
        Self::Partial,
        Self::TwoWatched,
        Self::TwoUnwatched,
        Self::Popular,
        Self::PopularNoisy,
        Self::Stale,
        Self::Beside,
        Self::Features,
        Self::Unknown,
        Self::FailedRun,
        Self::TwoFailedRuns,
        Self::WellRun,
        Self::OwnedByRuns,
        Self::ThreeWatched,
        Self::Between,
        Self::JustEnough,
        Self::TooFew,
        Self::Forgotten,
    ];
}
