//! Nothing but the home of the benchmarks beside it.
