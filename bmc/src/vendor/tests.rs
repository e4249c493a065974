//! The files themselves, what makes a file unacceptable, and who is recognised by what.

use super::file::read_all;
use super::*;
use crate::redfish::ResetType::{ForceRestart, GracefulShutdown, PowerCycle, PushPowerButton};

const EVERY_ACTION: [PowerAction; ACTIONS] = [
    PowerAction::On,
    PowerAction::Off,
    PowerAction::SoftOff,
    PowerAction::Reset,
    PowerAction::Cycle,
    PowerAction::SoftReset,
    PowerAction::Nmi,
];

#[test]
fn every_file_in_the_folder_is_compiled_in_and_reads() {
    assert_eq!(Vendor::check(), Ok(()));
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/vendors");
    let mut files: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    files.sort();
    let mut known: Vec<String> = FILES
        .iter()
        .map(|(name, _)| format!("{name}.toml"))
        .collect();
    known.sort();
    assert_eq!(files, known, "a vendor file is named in FILES");
}

#[test]
fn what_a_file_does_not_name_is_the_standards() {
    let [ilo, idrac] = ["ilo", "idrac"].map(|name| Vendor::named(name).unwrap());
    assert_eq!(
        ilo.resets(PowerAction::SoftOff),
        [GracefulShutdown, PushPowerButton]
    );
    assert_eq!(ilo.resets(PowerAction::Reset), [ForceRestart, PowerCycle]);
    assert_eq!(ilo.settle, Vendor::generic().settle);
    assert_eq!(idrac.sessions_max, Some(8));
    for vendor in Vendor::all() {
        for action in EVERY_ACTION {
            assert!(
                !vendor.resets(action).is_empty(),
                "{} {action}",
                vendor.name
            );
        }
    }
}

#[test]
fn vendors_are_known_by_what_they_call_themselves() {
    for (maker, found) in [
        ("Dell Inc.", Some("idrac")),
        ("HPE", Some("ilo")),
        ("Hewlett Packard Enterprise", Some("ilo")),
        ("Supermicro", Some("supermicro")),
        ("Lenovo", Some("xcc")),
        ("OpenBMC", Some("openbmc")),
        ("IBM", Some("openbmc")),
        ("American Megatrends International LLC.", Some("ami")),
        ("AMI", Some("ami")),
        ("AMI Corp", Some("ami")),
        ("ASRockRack", Some("ami")),
        ("General Dynamics", None),
        ("Sushy Emulator", None),
        ("", None),
    ] {
        let vendor = Vendor::for_maker(maker);
        assert_eq!(vendor.map(|vendor| &*vendor.name), found, "{maker}");
    }
    assert_eq!(
        Vendor::for_oem("Hpe").map(|vendor| &*vendor.name),
        Some("ilo")
    );
    assert!(Vendor::for_oem("Acme").is_none());
    let (vendor, name) = Vendor::for_number(674).unwrap();
    assert_eq!((&*vendor.name, name), ("idrac", "dell inc"));
    let (vendor, name) = Vendor::for_number(343).unwrap();
    assert_eq!((&*vendor.name, name), ("generic", "intel corporation"));
    assert!(Vendor::for_number(0).is_none());
}

#[test]
fn the_messages_that_mean_later_are_known() {
    assert!(Vendor::means_sessions_full("IDRAC.2.4.RAC0218: full"));
    assert!(Vendor::means_busy(
        "iLO.2.14.InvalidOperationForSystemState"
    ));
    assert!(Vendor::means_busy("HTTP 400 IDRAC.1.6.SWC0700"));
    assert!(!Vendor::means_busy("Base.1.8.PropertyValueNotInList"));
}

/// A generic file with the rest of a vendor's file after its head.
fn refused(rest: &str) -> String {
    let generic = FILES.last().unwrap().1;
    let head = "name = \"acme\"\ntitle = \"Acme\"\n";
    let text = format!("{head}{rest}");
    match read_all(&[("acme", text.as_str()), (GENERIC, generic)]) {
        Ok(_) => "accepted".into(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn a_slip_in_a_file_is_named_with_its_place() {
    let known = "[known_by]\nredfish = [\"acme\"]\nsource = \"their manual\"\n";
    assert_eq!(refused(known), "accepted");
    for (rest, wrong) in [
        (
            "[known_by]\nredfish = [\"acme\"]\nsource = \" \"\n",
            "needs its source",
        ),
        (
            "[known_by]\nredfish = [\"Acme\"]\nsource = \"x\"\n",
            "lower case",
        ),
        (
            "[known_by]\nipmi = [{ number = 343, name = \"x\" }]\nsource = \"x\"\n",
            "number 343",
        ),
        (
            "[[reset]]\naction = \"hop\"\ntry = [\"On\"]\nsource = \"x\"\n",
            "no action \"hop\"",
        ),
        (
            "[[reset]]\naction = \"on\"\ntry = [\"Hop\"]\nsource = \"x\"\n",
            "\"Hop\" is no ResetType",
        ),
        (
            "[[reset]]\naction = \"on\"\ntry = []\nsource = \"x\"\n",
            "on has no choice",
        ),
        (
            "[[reset]]\naction = \"reset\"\ntry = [\"PushPowerButton\"]\nsource = \"x\"\n",
            "press of the button",
        ),
        ("[[busy]]\nwords = \"in\"\nsource = \"x\"\n", "too short"),
        ("[sessions]\nmax = 0\nsource = \"x\"\n", "redfish_auth_type"),
        ("[sesions]\nmax = 4\n", "unknown field"),
        (
            "[redfish_boot]\nname = \"much\"\nsource = \"x\"\n",
            "name is enabled or full",
        ),
        (
            "[redfish_boot]\nname = \"full\"\nsource = \"\"\n",
            "needs its source",
        ),
    ] {
        let text = if rest.starts_with("[known_by]") {
            rest.to_owned()
        } else {
            format!("{known}{rest}")
        };
        let told = refused(&text);
        assert!(
            told.starts_with("bmc/vendors/acme.toml: ") && told.contains(wrong),
            "{rest}: {told}"
        );
    }
}
