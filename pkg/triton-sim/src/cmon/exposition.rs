//! The metrics of an instance as Prometheus' text, by the names and kinds of reference 4.4. Pure.
//!
//! What follows from the load is CPU, memory and network. The rest is there so that readers find it: errors and
//! waiting are nothing, a tenth of the disk is used, and files are read and written about as much as the network
//! is. There is no CPU cap in what an instance says of itself, so it is taken to be as many whole CPUs as are used.
//! HVM instances have no TCP and VFS metrics, and use all their memory, as their compute node sees it.

use std::fmt::{Display, Write as _};

use jiff::Timestamp;

use super::counters::Reading;
use crate::view::InstanceView;

const MIB: u64 = 1 << 20;
/// What a whole second has in nanoseconds.
const SECOND: u64 = 1_000_000_000;
/// The size of a ZFS record.
const RECORD: u64 = 128 << 10;

#[derive(Clone, Copy)]
enum Kind {
    Counter,
    Gauge,
}

/// The text of an instance's metrics.
pub(super) fn text(view: &InstanceView, reading: &Reading, now: Timestamp) -> String {
    let mut page = Page(String::with_capacity(8 << 10));
    let is_hvm = matches!(&*view.brand, "bhyve" | "kvm");
    page.cpu_caps(reading);
    page.network(view, reading);
    page.memory(view, reading, is_hvm);
    if !is_hvm {
        page.tcp(reading);
    }
    page.zfs(view);
    page.cpu(reading);
    if !is_hvm {
        page.files(reading);
    }
    page.collector("time");
    // Milliseconds, although the help text of the real one says seconds.
    page.one("time_of_day", Kind::Counter, "The time", now.as_millisecond());
    page.0
}

struct Page(String);

impl Page {
    fn declare(&mut self, name: &str, kind: Kind, help: &str) {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
        };
        // Writing to a string does not fail.
        let _ = write!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }

    fn one(&mut self, name: &str, kind: Kind, help: &str, value: impl Display) {
        self.declare(name, kind, help);
        let _ = writeln!(self.0, "{name} {value}");
    }

    /// What comes before the metrics of a collector.
    fn collector(&mut self, name: &str) {
        for (what, help, value) in [
            ("metrics_available_boolean", "Whether there are metrics of this collector", "1"),
            ("metrics_cached_boolean", "Whether the metrics of this collector were kept from before", "0"),
            ("metrics_timer_seconds", "How long the metrics of this collector took", "0.001"),
        ] {
            self.one(&format!("{name}_{what}"), Kind::Gauge, help, value);
        }
    }

    fn cpu_caps(&mut self, reading: &Reading) {
        let usage = reading.load.cpu_percent;
        let cap = usage.div_ceil(100).max(1) * 100;
        self.collector("cpucap");
        for (name, kind, help, value) in [
            ("above_base_seconds_total", Kind::Counter, "Seconds above the baseline", 0),
            ("above_seconds_total", Kind::Counter, "Seconds above the cap", 0),
            ("below_seconds_total", Kind::Counter, "Seconds below the cap", reading.up),
            ("baseline_percentage", Kind::Gauge, "The baseline, in percent of a CPU", cap.into()),
            ("burst_limit_seconds", Kind::Gauge, "How long bursts may last, in seconds", 0),
            ("effective_percentage", Kind::Gauge, "The cap in effect, in percent of a CPU", cap.into()),
            ("max_usage_percentage", Kind::Gauge, "The highest use, in percent of a CPU", usage.into()),
            ("cur_usage_percentage", Kind::Gauge, "The use, in percent of a CPU", usage.into()),
            ("limit_percentage", Kind::Gauge, "The cap, in percent of a CPU", cap.into()),
            ("waiting_threads_count", Kind::Gauge, "Threads that wait because of the cap", 0),
        ] {
            self.one(&format!("cpucap_{name}"), kind, help, value);
        }
    }

    fn cpu(&mut self, reading: &Reading) {
        self.collector("zone_misc");
        let user = reading.cpu / 5 * 4;
        self.one("cpu_user_usage", Kind::Counter, "User CPU time in nanoseconds", user);
        self.one("cpu_sys_usage", Kind::Counter, "System CPU time in nanoseconds", reading.cpu - user);
        self.one("cpu_wait_time", Kind::Counter, "Time waiting for a CPU in nanoseconds", 0);
        let percent = reading.load.cpu_percent;
        let average = format_args!("{}.{:02}", percent / 100, percent % 100).to_string();
        self.one("load_average", Kind::Gauge, "Load average over a minute", average);
    }

    fn memory(&mut self, view: &InstanceView, reading: &Reading, is_hvm: bool) {
        let limit = view.memory_mib.saturating_mul(MIB);
        let percent = if is_hvm { 100 } else { u64::from(reading.load.memory_percent) };
        let used = limit.saturating_mul(percent) / 100;
        self.collector("memcap");
        self.one("mem_agg_usage", Kind::Gauge, "Memory in use in bytes", used);
        self.one("mem_anon_alloc_fail", Kind::Counter, "Failed allocations of anonymous memory", 0);
        self.one("mem_limit", Kind::Gauge, "Memory limit in bytes", limit);
        self.one("mem_swap", Kind::Gauge, "Swap in use in bytes", used);
        self.one("mem_swap_limit", Kind::Gauge, "Swap limit in bytes", limit.saturating_mul(2));
    }

    /// All traffic is the primary NIC's.
    fn network(&mut self, view: &InstanceView, reading: &Reading) {
        if view.nics.is_empty() {
            return;
        }
        self.collector("link");
        for (name, help, value) in [
            ("net_agg_packets_in", "Packets in", reading.packets()),
            ("net_agg_packets_out", "Packets out", reading.packets()),
            ("net_agg_bytes_in", "Bytes in", reading.bytes),
            ("net_agg_bytes_out", "Bytes out", reading.bytes),
        ] {
            self.declare(name, Kind::Counter, help);
            for (number, nic) in view.nics.iter().enumerate() {
                let tag = nic.nic_tag.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
                let value = if nic.primary { value } else { 0 };
                let _ = writeln!(
                    self.0,
                    "{name}{{interface=\"vnic{number}\",nic_tag=\"{tag}\",network_uuid=\"{}\"}} {value}",
                    nic.network
                );
            }
        }
    }

    fn tcp(&mut self, reading: &Reading) {
        self.collector("tcp");
        for (name, help, value) in [
            ("failed_connection_attempt_count", "Failed connection attempts", 0),
            ("retransmitted_segment_count", "Segments sent again", 0),
            ("duplicate_ack_count", "Duplicate acknowledgements", 0),
            ("listen_drop_count", "Connections refused because the backlog was full", 0),
            ("listen_drop_Qzero_count", "Connections refused because too many were half open", 0),
            ("half_open_drop_count", "Half-open connections dropped", 0),
            ("retransmit_timeout_drop_count", "Connections dropped after sending in vain", 0),
            ("active_open_count", "Connections opened", reading.packets() / 100),
            ("passive_open_count", "Connections accepted", reading.packets() / 100),
        ] {
            self.one(&format!("tcp_{name}"), Kind::Counter, help, value);
        }
        self.one("tcp_current_established_connections_total", Kind::Gauge, "Connections established", 1);
    }

    fn zfs(&mut self, view: &InstanceView) {
        let quota = view.disk_mib.saturating_mul(MIB);
        let used = quota / 10;
        self.collector("zfs");
        for (name, help, value) in [
            ("available", "Available bytes", quota - used),
            ("used", "Used bytes", used),
            ("logicalused", "Used bytes before compression", used),
            ("recordsize", "Size of records in bytes", RECORD),
            ("quota", "Quota in bytes", quota),
            ("compressratio", "Compression of what is used", 1),
            ("refcompressratio", "Compression of what is referenced", 1),
            ("referenced", "Referenced bytes", used),
            ("logicalreferenced", "Referenced bytes before compression", used),
            ("usedbydataset", "Bytes used by the dataset itself", used),
            ("usedbysnapshots", "Bytes used by snapshots", 0),
        ] {
            self.one(&format!("zfs_{name}"), Kind::Gauge, help, value);
        }
    }

    fn files(&mut self, reading: &Reading) {
        self.collector("zone_vfs");
        let time = reading.packets().saturating_mul(SECOND / 100_000);
        for (name, help, value) in [
            ("bytes_read_count", "Bytes read", reading.bytes),
            ("bytes_written_count", "Bytes written", reading.bytes),
            ("read_operation_count", "Read operations", reading.packets()),
            ("write_operation_count", "Write operations", reading.packets()),
            ("wait_time_count", "Time waiting before service", 0),
            ("wait_length_time_count", "Waiting operations times time", 0),
            ("run_time_count", "Time in service", time),
            ("run_length_time_count", "Operations in service times time", time),
        ] {
            self.one(&format!("vfs_{name}"), Kind::Counter, help, value);
        }
        self.one("vfs_elements_wait_state", Kind::Gauge, "Operations that wait", 0);
        self.one("vfs_elements_run_state", Kind::Gauge, "Operations in service", 0);
    }
}

#[cfg(test)]
mod tests {
    use triton::cmon::{MetricKind, Metrics};

    use super::*;
    use crate::cmon::load::Load;
    use crate::guests::fixture;

    fn read(view: &InstanceView) -> Metrics {
        let load = Load { cpu_percent: 150, memory_percent: 50, network_bytes: 1 };
        let reading = Reading { load, up: 3600, cpu: 1_000_000_000, bytes: 1_234_567 };
        let metrics =
            Metrics::parse(&text(view, &reading, Timestamp::from_millisecond(1_770_000_000_123).unwrap()));
        assert_eq!(metrics.unreadable_lines, 0);
        for sample in &metrics.samples {
            assert!(metrics.kinds.contains_key(&sample.name), "{}", sample.name);
        }
        metrics
    }

    #[test]
    fn a_zones_metrics_follow_from_its_load() {
        let metrics = read(&fixture::view());
        for (name, kind, value) in [
            ("cpu_user_usage", MetricKind::Counter, 800_000_000.0),
            ("cpu_sys_usage", MetricKind::Counter, 200_000_000.0),
            ("load_average", MetricKind::Gauge, 1.5),
            ("cpucap_cur_usage_percentage", MetricKind::Gauge, 150.0),
            ("cpucap_limit_percentage", MetricKind::Gauge, 200.0),
            ("cpucap_below_seconds_total", MetricKind::Counter, 3600.0),
            ("mem_agg_usage", MetricKind::Gauge, f64::from(512 << 20) / 2.0),
            ("mem_limit", MetricKind::Gauge, f64::from(512 << 20)),
            ("net_agg_bytes_in", MetricKind::Counter, 1_234_567.0),
            ("net_agg_packets_out", MetricKind::Counter, 1234.0),
            ("tcp_listen_drop_Qzero_count", MetricKind::Counter, 0.0),
            ("zfs_quota", MetricKind::Gauge, 10_240.0 * 1_048_576.0),
            ("vfs_bytes_read_count", MetricKind::Counter, 1_234_567.0),
            ("time_of_day", MetricKind::Counter, 1_770_000_000_123.0),
            ("zone_misc_metrics_available_boolean", MetricKind::Gauge, 1.0),
        ] {
            assert_eq!((metrics.value(name), metrics.kinds.get(name)), (Some(value), Some(&kind)), "{name}");
        }
        let labels: Vec<_> = metrics.of("net_agg_bytes_in").next().unwrap().labels.clone();
        let labels: Vec<_> = labels.iter().map(|(name, value)| (&**name, &**value)).collect();
        let network = "00000000-0000-0000-0000-00000000000d";
        let expected = [("interface", "vnic0"), ("nic_tag", "sdc_overlay"), ("network_uuid", network)];
        assert_eq!(labels, expected);
    }

    #[test]
    fn every_metric_of_the_reference_is_there() {
        let metrics = read(&fixture::view());
        let families = [
            ("cpucap_", 10),
            ("mem_", 5),
            ("net_agg_", 4),
            ("tcp_", 10),
            ("zfs_", 11),
            ("vfs_", 10),
            ("cpu_", 3),
        ];
        for (prefix, expected) in families {
            let of_family =
                metrics.kinds.keys().filter(|it| it.starts_with(prefix) && !it.contains("_metrics_"));
            assert_eq!(of_family.count(), expected, "{prefix}");
        }
    }

    #[test]
    fn a_machine_is_seen_from_outside() {
        let mut view = fixture::view();
        view.brand = "bhyve".into();
        let metrics = read(&view);
        assert_eq!(metrics.value("mem_agg_usage"), metrics.value("mem_limit"));
        assert_eq!(metrics.value("tcp_active_open_count"), None);
        assert_eq!(metrics.value("vfs_bytes_read_count"), None);
        view.nics.clear();
        assert_eq!(read(&view).value("net_agg_bytes_in"), None);
    }
}
