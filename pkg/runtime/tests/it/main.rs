//! The process against a simulated API server, under a paused clock.

mod api_server;
mod leader;
