//! INFO's section on persistence.

use crate::config::Config;
use crate::persist::log::Trouble;
use crate::server::Server;

/// Its figures, each with its name.
pub fn lines(server: &Server, config: &Config) -> Vec<(String, String)> {
    let (log, figures) = (&server.databases.log, server.persistence.figures());
    let trouble = log.trouble();
    let status = if trouble.is_some() { "err" } else { "ok" };
    let mut lines: Vec<(&str, String)> = vec![
        ("aof_enabled", u8::from(log.is_on()).to_string()),
        ("aof_rewrite_in_progress", u8::from(server.saver.is_running()).to_string()),
        ("aof_rewrite_scheduled", u8::from(server.saver.is_scheduled()).to_string()),
        ("aof_last_bgrewrite_status", if figures.rewrite_failed { "err" } else { "ok" }.into()),
        ("aof_last_rewrite_time_sec", figures.rewrite_seconds.map_or(-1, |s| s as i64).to_string()),
        ("aof_last_write_status", status.into()),
    ];
    if log.is_on() {
        let position = log.position();
        let current = position.saturating_sub(figures.base_position);
        lines.extend([
            ("aof_current_size", (figures.base_bytes + current).to_string()),
            ("aof_base_size", figures.base_bytes.to_string()),
            ("aof_buffer_length", log.waiting_bytes().to_string()),
            ("aof_pending_bio_fsync", u8::from(log.durable() < position).to_string()),
            ("aof_fsync", config.appendfsync.clone()),
            ("aof_backend", figures.backend.into()),
            ("aof_written_bytes", log.written_bytes().to_string()),
            ("aof_position", position.to_string()),
            ("aof_durable_position", log.durable().to_string()),
        ]);
        let kind = match &trouble {
            None => "none",
            Some(Trouble::Full(_)) => "full",
            Some(Trouble::Failed(_)) => "failed",
        };
        lines.push(("aof_trouble", kind.into()));
        if let Some(trouble) = &trouble {
            lines.push(("aof_trouble_reason", trouble.why().replace(['\r', '\n'], " ")));
        }
    }
    if figures.recovery_bytes > 0 {
        lines.push(("aof_recovery_bytes", figures.recovery_bytes.to_string()));
        lines.push(("aof_recovery_ms", figures.recovery_ms.to_string()));
    }
    lines.into_iter().map(|(name, value)| (name.into(), value)).collect()
}
