//! What the operating system says about this process.

/// The most memory that the process had at any time, in bytes; 0 where the
/// system does not tell.
pub(crate) fn peak_memory_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes =
        line.and_then(|rest| rest.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
    kilobytes.unwrap_or(0) * 1024
}

/// Processor time of all threads, in seconds; 0 where the system does not tell.
pub(crate) fn cpu_seconds() -> f64 {
    /// Linux counts in hundredths here, whatever the kernel's own clock.
    const TICKS_PER_SECOND: f64 = 100.0;
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name may hold spaces and brackets; the numbers begin after the last one.
    let rest = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks = |field: usize| rest.split_whitespace().nth(field)?.parse::<u64>().ok();
    // `state` is field 3 of proc(5) and the first here, so utime is the 12th.
    let used = ticks(11).unwrap_or(0) + ticks(12).unwrap_or(0);
    used as f64 / TICKS_PER_SECOND
}
