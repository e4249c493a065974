//! Whose firmware a simulated BMC imitates, as data: names, allowed values, limits and the words of its errors.
//! A new vendor is a new row; nothing else branches on the vendor. A row has the name of the vendor file whose BMC it
//! plays (`bmc/vendors`), and session limits come from that file.

/// An error as a vendor words it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Complaint {
    /// HTTP status.
    pub status: u16,
    /// `MessageId` in `@Message.ExtendedInfo`.
    pub id: &'static str,
    /// `Message`.
    pub text: &'static str,
}

/// One vendor's ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Personality {
    /// The name in configuration and in the control endpoint.
    pub name: &'static str,
    /// `Vendor` of the service root and `Manufacturer` of the system.
    pub vendor: &'static str,
    /// `Model` of the system.
    pub model: &'static str,
    /// Firmware version of the manager.
    pub firmware: &'static str,
    /// IANA enterprise number, the manufacturer id of IPMI's Get Device ID.
    pub iana: u32,
    /// Product id of IPMI's Get Device ID.
    pub product: u16,
    /// Id of the only system.
    pub system: &'static str,
    /// Id of the only manager.
    pub manager: &'static str,
    /// Id of the only chassis.
    pub chassis: &'static str,
    /// Allowed `ResetType`s.
    pub resets: &'static [&'static str],
    /// Whether ETags are weak (`W/"..."`).
    pub etag_weak: bool,
    /// What a reset that changes nothing gets; `None` says yes.
    pub already: Option<Complaint>,
    /// What a reset gets that needs the machine on.
    pub needs_power: Complaint,
    /// What a login gets when all sessions are taken.
    pub session_full: Complaint,
    /// What everything gets when the BMC is busy.
    pub busy: Complaint,
}

/// Plain Redfish, as DSP0266 and the Base registry have it.
pub const GENERIC: Personality = Personality {
    name: "generic",
    vendor: "Baton",
    model: "Simulated Server",
    firmware: "1.0.0",
    iana: 0x00_f0_f0,
    product: 1,
    system: "1",
    manager: "1",
    chassis: "1",
    resets: &[
        "On",
        "ForceOff",
        "GracefulShutdown",
        "GracefulRestart",
        "ForceRestart",
        "PowerCycle",
        "Nmi",
    ],
    etag_weak: false,
    already: None,
    needs_power: Complaint {
        status: 409,
        id: "Base.1.8.ResourceInUse",
        text: "The machine is powered off.",
    },
    session_full: Complaint {
        status: 503,
        id: "Base.1.8.SessionLimitExceeded",
        text: "The session establishment failed due to the number of simultaneous sessions exceeding the limit of the implementation.",
    },
    busy: Complaint {
        status: 503,
        id: "Base.1.8.ServiceTemporarilyUnavailable",
        text: "The service is temporarily unavailable.",
    },
};

/// Dell iDRAC. `PSU501` with 409: dell/dellemc-openmanage-ansible-modules#132; `RAC0218` with 503:
/// stmcginnis/gofish#75; `SYS518` means busy: `reference/power-interfaces.md` §4.3 (sushy retries it).
pub const IDRAC: Personality = Personality {
    name: "idrac",
    vendor: "Dell",
    model: "PowerEdge R650",
    firmware: "6.10.30.00",
    iana: 674,
    product: 0x0100,
    system: "System.Embedded.1",
    manager: "iDRAC.Embedded.1",
    chassis: "System.Embedded.1",
    resets: &[
        "On",
        "ForceOff",
        "ForceRestart",
        "GracefulRestart",
        "GracefulShutdown",
        "PushPowerButton",
        "Nmi",
        "PowerCycle",
    ],
    etag_weak: true,
    already: Some(Complaint {
        status: 409,
        id: "IDRAC.2.8.PSU501",
        text: "Server is already in the requested power state.",
    }),
    needs_power: Complaint {
        status: 409,
        id: "IDRAC.2.8.PSU502",
        text: "Server is already powered OFF.",
    },
    session_full: Complaint {
        status: 503,
        id: "IDRAC.2.8.RAC0218",
        text: "The maximum number of user sessions is reached.",
    },
    busy: Complaint {
        status: 503,
        id: "IDRAC.2.8.SYS518",
        text: "iDRAC is not ready to take the request.",
    },
};

/// HPE iLO. `InvalidOperationForSystemState` with 400: goldyfruit/ansible-ilo#1.
pub const ILO: Personality = Personality {
    name: "ilo",
    vendor: "HPE",
    model: "ProLiant DL360 Gen10",
    firmware: "iLO 5 v2.72",
    iana: 47_196,
    product: 0x2020,
    system: "1",
    manager: "1",
    chassis: "1",
    resets: &[
        "On",
        "ForceOff",
        "GracefulShutdown",
        "ForceRestart",
        "Nmi",
        "PushPowerButton",
        "GracefulRestart",
    ],
    etag_weak: true,
    already: Some(Complaint {
        status: 400,
        id: "iLO.2.14.InvalidOperationForSystemState",
        text: "The operation was not successful due to the current power state.",
    }),
    needs_power: Complaint {
        status: 400,
        id: "iLO.2.14.InvalidOperationForSystemState",
        text: "The operation was not successful due to the current power state: Power is off.",
    },
    session_full: Complaint {
        status: 400,
        id: "iLO.2.14.CreateLimitReachedForResource",
        text: "No more resources can be created. The resource limit has been reached.",
    },
    busy: Complaint {
        status: 503,
        id: "iLO.2.14.ServiceTemporarilyUnavailable",
        text: "The service is temporarily unavailable.",
    },
};

/// Supermicro X11 and later: says yes to what is already so.
pub const SUPERMICRO: Personality = Personality {
    name: "supermicro",
    vendor: "Supermicro",
    model: "SYS-1029P",
    firmware: "01.73.11",
    iana: 10_876,
    product: 0x0970,
    resets: &[
        "On",
        "ForceOff",
        "GracefulShutdown",
        "GracefulRestart",
        "ForceRestart",
        "Nmi",
        "ForceOn",
    ],
    ..GENERIC
};

/// Lenovo XCC. No words of its own are known, so it speaks the standard's.
pub const XCC: Personality = Personality {
    name: "xcc",
    vendor: "Lenovo",
    model: "ThinkSystem SR650",
    firmware: "8.88",
    iana: 19_046,
    product: 0x0100,
    ..GENERIC
};

/// OpenBMC's bmcweb: its ids are words, and it says yes to what is already so.
pub const OPENBMC: Personality = Personality {
    name: "openbmc",
    vendor: "OpenBMC",
    model: "Simulated OpenBMC",
    firmware: "2.14.0",
    iana: 49_871,
    product: 0x0001,
    system: "system",
    manager: "bmc",
    chassis: "chassis",
    resets: &[
        "ForceOff",
        "ForceOn",
        "ForceRestart",
        "GracefulRestart",
        "GracefulShutdown",
        "Nmi",
        "On",
        "PowerCycle",
    ],
    ..GENERIC
};

/// Every personality.
pub const ALL: &[&Personality] = &[&GENERIC, &IDRAC, &ILO, &SUPERMICRO, &XCC, &OPENBMC];

/// The personality of this name.
#[must_use]
pub fn named(name: &str) -> Option<&'static Personality> {
    ALL.iter().find(|one| one.name == name).copied()
}
