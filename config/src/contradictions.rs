//! Values that are each fine but do not go together: one table of rules over several options.

use crate::config::Config;
use crate::problem::{Place, Problem};
use std::collections::BTreeSet;

type Key = (&'static str, &'static str);

/// One rule. It is skipped when one of its options did not even fit by itself.
struct Contradiction {
    /// The options it looks at; the last one that somebody set is where the complaint points to.
    keys: &'static [Key],
    /// What does not go together, if it does not.
    find: fn(&Config) -> Option<String>,
}

const RULES: &[Contradiction] = &[
    Contradiction {
        keys: &[
            ("cluster", "election_timeout_min_ms"),
            ("cluster", "election_timeout_max_ms"),
        ],
        find: |config| {
            let cluster = &config.cluster;
            (cluster.election_timeout_min_ms >= cluster.election_timeout_max_ms).then(|| {
                "`cluster.election_timeout_min_ms` must be lower than `election_timeout_max_ms`: \
                 equal timeouts let two candidates split the vote again and again"
                    .to_owned()
            })
        },
    },
    Contradiction {
        keys: &[
            ("cluster", "heartbeat_interval_ms"),
            ("cluster", "election_timeout_min_ms"),
        ],
        find: |config| {
            let cluster = &config.cluster;
            (cluster.heartbeat_interval_ms * 3 > cluster.election_timeout_min_ms).then(|| {
                "`cluster.heartbeat_interval_ms` must be at most a third of \
                 `election_timeout_min_ms`, or one lost heartbeat starts an election"
                    .to_owned()
            })
        },
    },
    Contradiction {
        keys: &[
            ("cluster", "heartbeat_interval_ms"),
            ("cluster", "session_ttl_ms"),
        ],
        find: |config| {
            let cluster = &config.cluster;
            (cluster.heartbeat_interval_ms * 4 > cluster.session_ttl_ms).then(|| {
                "`cluster.session_ttl_ms` must be at least four times `heartbeat_interval_ms`, \
                 or one late heartbeat hands all nodes over"
                    .to_owned()
            })
        },
    },
    Contradiction {
        keys: &[
            ("cluster", "ca_file"),
            ("cluster", "cert_file"),
            ("cluster", "key_file"),
        ],
        find: |config| {
            let cluster = &config.cluster;
            let files = [&cluster.ca_file, &cluster.cert_file, &cluster.key_file];
            let set = files.iter().filter(|file| file.is_some()).count();
            (set != 0 && set != files.len()).then(|| {
                "`cluster.ca_file`, `cert_file` and `key_file` go together: set all three or none"
                    .to_owned()
            })
        },
    },
    Contradiction {
        keys: &[("api", "cert_file"), ("api", "key_file")],
        find: |config| {
            let api = &config.api;
            (api.cert_file.is_some() != api.key_file.is_some())
                .then(|| "`api.cert_file` and `key_file` go together: set both or none".to_owned())
        },
    },
    Contradiction {
        keys: &[("cluster", "peers")],
        find: |config| {
            let ids: Vec<_> = config.cluster.peers.iter().map(|peer| peer.id).collect();
            let unique: BTreeSet<_> = ids.iter().collect();
            (unique.len() != ids.len())
                .then(|| "`cluster.peers` gives one id to two addresses".to_owned())
        },
    },
    Contradiction {
        keys: &[("cluster", "conductor_id"), ("cluster", "peers")],
        find: |config| {
            let cluster = &config.cluster;
            let id = cluster.conductor_id?;
            let listed = cluster.peers.iter().any(|peer| peer.id.0 == id);
            (!cluster.peers.is_empty() && !listed).then(|| {
                format!("`cluster.conductor_id` is {id}, which is not among `cluster.peers`")
            })
        },
    },
    Contradiction {
        keys: &[("cluster", "ca_file"), ("cluster", "listen")],
        find: |config| {
            let cluster = &config.cluster;
            (!cluster.listen.ip().is_loopback() && cluster.ca_file.is_none()).then(|| {
                format!(
                    "`cluster.listen` = {} is no loopback address, and conductors speak to each other in the clear: make \
                     certificates with `baton cluster certs` and set `ca_file`, `cert_file` and `key_file`",
                    cluster.listen
                )
            })
        },
    },
    Contradiction {
        keys: &[("cluster", "cert_file"), ("DEFAULT", "host")],
        find: |config| {
            let host = config.host();
            let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
            (config.cluster.cert_file.is_some() && !(host.chars().all(fits) && host.len() < 254))
                .then(|| {
                    format!(
                        "`DEFAULT.host` = \"{host}\" is no name that a certificate can be for: use letters, digits, `-`, `_` \
                         and `.`"
                    )
                })
        },
    },
    Contradiction {
        keys: &[("admin", "cert_file"), ("admin", "key_file")],
        find: |config| {
            let admin = &config.admin;
            (admin.cert_file.is_some() != admin.key_file.is_some()).then(|| {
                "`admin.cert_file` and `key_file` go together: set both or none".to_owned()
            })
        },
    },
    Contradiction {
        keys: &[
            ("admin", "cert_file"),
            ("admin", "allow_plain_http"),
            ("admin", "listen"),
        ],
        find: |config| {
            let admin = &config.admin;
            let plain = admin.cert_file.is_none() && !admin.allow_plain_http;
            (!admin.listen.ip().is_loopback() && plain).then(|| {
                format!(
                    "`admin.listen` = {} is no loopback address, and the token would cross the network in the clear: set \
                     `admin.cert_file` and `key_file`, or `allow_plain_http = true` where nobody can listen in",
                    admin.listen
                )
            })
        },
    },
    Contradiction {
        keys: &[("admin", "token"), ("admin", "listen")],
        find: |config| {
            let admin = &config.admin;
            let open = admin
                .token
                .as_ref()
                .is_none_or(|token| token.expose().is_empty());
            (!admin.listen.ip().is_loopback() && open).then(|| {
                format!(
                    "`admin.listen` = {} is no loopback address, and whoever reaches it commands the cluster: set \
                     `admin.token`, or listen on 127.0.0.1",
                    admin.listen
                )
            })
        },
    },
    Contradiction {
        keys: &[
            ("sync_pool", "breaker_open"),
            ("sync_pool", "breaker_open_max"),
        ],
        find: |config| {
            let pool = &config.sync_pool;
            (pool.breaker_open > pool.breaker_open_max).then(|| {
                "`sync_pool.breaker_open` must not be more than `breaker_open_max`".to_owned()
            })
        },
    },
    Contradiction {
        keys: &[
            ("sync_pool", "in_flight_min"),
            ("sync_pool", "in_flight_max"),
        ],
        find: |config| {
            let pool = &config.sync_pool;
            (pool.in_flight_min > pool.in_flight_max).then(|| {
                "`sync_pool.in_flight_min` must not be more than `in_flight_max`".to_owned()
            })
        },
    },
    Contradiction {
        keys: &[
            ("sync_pool", "read_timeout_min"),
            ("sync_pool", "read_timeout_max"),
        ],
        find: |config| {
            let pool = &config.sync_pool;
            (pool.read_timeout_min > pool.read_timeout_max).then(|| {
                "`sync_pool.read_timeout_min` must not be more than `read_timeout_max`".to_owned()
            })
        },
    },
    Contradiction {
        keys: &[
            ("api", "host_ip"),
            ("api", "port"),
            ("admin", "listen"),
            ("cluster", "listen"),
        ],
        find: |config| {
            let public = std::net::SocketAddr::new(config.api.host_ip, config.api.port);
            let listeners = [
                ("`api.host_ip` and `api.port`", public),
                ("`admin.listen`", config.admin.listen),
                ("`cluster.listen`", config.cluster.listen),
            ];
            listeners
                .iter()
                .enumerate()
                .find_map(|(position, (name, address))| {
                    let earlier = listeners.iter().take(position).find(|(_, other)| {
                        let same_host = other.ip() == address.ip()
                            || other.ip().is_unspecified()
                            || address.ip().is_unspecified();
                        address.port() != 0 && other.port() == address.port() && same_host
                    })?;
                    Some(format!(
                        "{} and {name} both claim port {}",
                        earlier.0,
                        address.port()
                    ))
                })
        },
    },
];

/// All contradictions, leaving out rules about options in `misfits`.
pub(crate) fn find(config: &Config, misfits: &BTreeSet<Key>) -> Vec<Problem> {
    let fits = |keys: &[Key]| keys.iter().all(|key| !misfits.contains(key));
    let rules = RULES.iter().filter(|rule| fits(rule.keys));
    let broken = rules.filter_map(|rule| Some(complaint(config, rule.keys, (rule.find)(config)?)));
    broken.chain(hardware(config, misfits)).collect()
}

/// What `model` finds wrong with the enabled hardware types and interfaces, and defaults that are not enabled.
fn hardware(config: &Config, misfits: &BTreeSet<Key>) -> Vec<Problem> {
    let keys: Vec<Key> = config
        .specs()
        .map(|spec| (spec.section, spec.key))
        .filter(|(section, key)| *section == "DEFAULT" && is_about_hardware(key))
        .collect();
    if keys.iter().any(|key| misfits.contains(key)) {
        return Vec::new();
    }
    let enabled = config.enabled();
    let defaults = enabled
        .defaults
        .iter()
        .filter(|(slot, name)| !enabled.allows(**slot, name));
    let mut problems: Vec<_> = defaults
        .map(|(slot, name)| {
            let slot = slot.as_str();
            let (list, option) = (
                format!("enabled_{slot}_interfaces"),
                format!("default_{slot}_interface"),
            );
            let both: Vec<Key> = keys
                .iter()
                .filter(|(_, key)| *key == list || *key == option)
                .copied()
                .collect();
            let reason = format!("`DEFAULT.{option}` = \"{name}\" is not among `DEFAULT.{list}`");
            complaint(config, &both, reason)
        })
        .collect();
    if problems.is_empty() {
        problems.extend(
            enabled
                .check()
                .err()
                .map(|reason| complaint(config, &keys, reason)),
        );
    }
    problems
}

fn is_about_hardware(key: &str) -> bool {
    key.starts_with("enabled_") || (key.starts_with("default_") && key.ends_with("_interface"))
}

fn complaint(config: &Config, keys: &[Key], reason: String) -> Problem {
    let set = keys
        .iter()
        .rev()
        .find_map(|key| config.origins.get(key).cloned());
    let place = set.unwrap_or_else(|| Place::File("defaults".to_owned()));
    Problem::Contradiction { place, reason }
}
