//! `baton cluster certs`: an authority for the conductors of one cluster, and a certificate for each of them.
//!
//! Whoever has `ca.key` can make a conductor of that cluster. It is needed only here: keep it off the conductors.

use crate::clocks;
use anyhow::{Context as _, bail};
use clap::Args;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

const CA_CERTIFICATE: &str = "ca.pem";
const CA_KEY: &str = "ca.key";

/// A day before now: the conductors' clocks may lag behind this one's.
const EARLIER_DAYS: i64 = 1;

/// `baton cluster certs`
#[derive(Clone, Debug, Args)]
pub(crate) struct CertsArgs {
    /// Host names of the conductors, as in their `[DEFAULT] host`.
    #[arg(required = true, value_name = "HOST")]
    hosts: Vec<String>,
    /// Where to write. If `ca.pem` and `ca.key` are there already, they sign.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// How long the conductors' certificates are valid.
    #[arg(long, default_value_t = 1825, value_parser = clap::value_parser!(u16).range(1..=7300))]
    days: u16,
    /// How long a new authority is valid.
    #[arg(long, default_value_t = 7300, value_parser = clap::value_parser!(u16).range(1..=14600))]
    ca_days: u16,
}

pub(super) fn certs(args: &CertsArgs) -> anyhow::Result<String> {
    let today = i64::try_from(clocks::env().clock.wall().0 / 86_400_000)?;
    fs::create_dir_all(&args.out)
        .with_context(|| format!("could not make the directory {}", args.out.display()))?;
    for host in &args.hosts {
        if host.contains(['/', '\0']) || host.starts_with('.') {
            bail!("`{host}` is no host name");
        }
        for file in [format!("{host}.pem"), format!("{host}.key")] {
            let path = args.out.join(file);
            if path.exists() {
                bail!(
                    "{} is there already; move it away to make another",
                    path.display()
                );
            }
        }
    }
    let mut text = String::new();
    let (certificate, key) = (args.out.join(CA_CERTIFICATE), args.out.join(CA_KEY));
    let issuer = match (certificate.exists(), key.exists()) {
        (true, true) => read_authority(&key)?,
        (false, false) => {
            let issuer = make_authority(&certificate, &key, today, i64::from(args.ca_days))?;
            text.push_str(&format!(
                "{} and {}: the authority; keep the key off the conductors\n",
                certificate.display(),
                key.display()
            ));
            issuer
        }
        (true, false) => bail!(
            "{} is missing; without it nothing can be signed",
            key.display()
        ),
        (false, true) => bail!(
            "{} is missing; find the certificate that belongs to the key",
            certificate.display()
        ),
    };
    for host in &args.hosts {
        let (certificate, key) = (
            args.out.join(format!("{host}.pem")),
            args.out.join(format!("{host}.key")),
        );
        make_member(
            &issuer,
            host,
            &certificate,
            &key,
            today,
            i64::from(args.days),
        )?;
        text.push_str(&format!(
            "{} and {}: conductor {host}\n",
            certificate.display(),
            key.display()
        ));
    }
    text.push_str(
        "on each conductor: its two files and ca.pem, as `cert_file`, `key_file` and `ca_file` in [cluster]\n",
    );
    Ok(text)
}

fn validity(params: &mut CertificateParams, today: i64, days: i64) {
    let at = |day: i64| {
        let (year, month, day) = civil(day);
        date_time_ymd(year, month, day)
    };
    params.not_before = at(today - EARLIER_DAYS);
    params.not_after = at(today + days);
}

/// The date of a day counted from 1970-01-01, by H. Hinnant's `civil_from_days`: years begin in March, eras have 400.
fn civil(day: i64) -> (i32, u8, u8) {
    let shifted = day + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year + era * 400 + i64::from(month <= 2);
    (
        i32::try_from(year).unwrap_or(i32::MAX),
        u8::try_from(month).unwrap_or(1),
        u8::try_from(day).unwrap_or(1),
    )
}

/// The authority that a key makes; the same key, the same authority.
fn authority(pair: &KeyPair) -> anyhow::Result<CertificateParams> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    // Two clusters' authorities have two names, or a mix-up would be told as a bad signature.
    let tail: String = pair
        .public_key_raw()
        .iter()
        .rev()
        .take(4)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    params
        .distinguished_name
        .push(DnType::CommonName, format!("baton conductors {tail}"));
    Ok(params)
}

fn make_authority(
    certificate: &Path,
    key: &Path,
    today: i64,
    days: i64,
) -> anyhow::Result<Issuer<'static, KeyPair>> {
    let pair = KeyPair::generate()?;
    let mut params = authority(&pair)?;
    validity(&mut params, today, days);
    let signed = params.self_signed(&pair)?;
    write(key, &pair.serialize_pem(), true)?;
    write(certificate, &signed.pem(), false)?;
    Ok(Issuer::new(params, pair))
}

fn read_authority(key: &Path) -> anyhow::Result<Issuer<'static, KeyPair>> {
    let text =
        fs::read_to_string(key).with_context(|| format!("could not read {}", key.display()))?;
    let pair =
        KeyPair::from_pem(&text).with_context(|| format!("{} is no private key", key.display()))?;
    Ok(Issuer::new(authority(&pair)?, pair))
}

fn make_member(
    issuer: &Issuer<'_, KeyPair>,
    host: &str,
    certificate: &Path,
    key: &Path,
    today: i64,
    days: i64,
) -> anyhow::Result<()> {
    let pair = KeyPair::generate()?;
    let mut params = CertificateParams::new(vec![host.to_owned()])
        .with_context(|| format!("`{host}` is no name that a certificate can be for"))?;
    params.distinguished_name.push(DnType::CommonName, host);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ServerAuth,
        ExtendedKeyUsagePurpose::ClientAuth,
    ];
    params.use_authority_key_identifier_extension = true;
    validity(&mut params, today, days);
    let signed = params.signed_by(&pair, issuer)?;
    write(key, &pair.serialize_pem(), true)?;
    write(certificate, &signed.pem(), false)
}

/// Writes a new file; a key is for its owner only.
fn write(path: &Path, text: &str, secret: bool) -> anyhow::Result<()> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(if secret { 0o600 } else { 0o644 })
        .open(path)
        .and_then(|mut file| {
            file.write_all(text.as_bytes())
                .and_then(|()| file.sync_all())
        })
        .with_context(|| format!("could not write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use baton_cluster::peer::tls::{Tls, TlsFiles};
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn an_authority_is_made_once_and_its_certificates_are_usable() {
        let dir = tempfile::tempdir().expect("a directory");
        let args = |hosts: &[&str]| CertsArgs {
            hosts: hosts.iter().map(ToString::to_string).collect(),
            out: dir.path().to_owned(),
            days: 30,
            ca_days: 60,
        };
        certs(&args(&["c1", "c2.rack2"])).expect("made");
        let authority = fs::read(dir.path().join(CA_CERTIFICATE)).expect("there");
        certs(&args(&["c3"])).expect("made");
        assert_eq!(
            fs::read(dir.path().join(CA_CERTIFICATE)).expect("there"),
            authority
        );
        for host in ["c1", "c2.rack2", "c3"] {
            let key = dir.path().join(format!("{host}.key"));
            let mode = fs::metadata(&key).expect("there").permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
            let files = TlsFiles {
                certificate: dir.path().join(format!("{host}.pem")),
                key,
                authority: dir.path().join(CA_CERTIFICATE),
            };
            assert!(Tls::load(&files).is_ok());
        }
        let again = certs(&args(&["c1"])).expect_err("it is there").to_string();
        assert!(again.contains("c1.pem is there already"), "{again}");
        assert!(certs(&args(&["../c1"])).is_err());
    }

    #[test]
    fn days_have_their_dates() {
        assert_eq!(civil(0), (1970, 1, 1));
        assert_eq!(civil(11_016), (2000, 2, 29));
        assert_eq!(civil(20_779), (2026, 11, 22));
        assert_eq!(civil(47_540), (2100, 2, 28));
        assert_eq!(civil(47_541), (2100, 3, 1));
    }
}
