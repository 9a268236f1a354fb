//! A mail server as strict as a real one: nothing before TLS, nothing before
//! the login, and a refusal that repeats what it was told.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use openssl::asn1::Asn1Time;
use openssl::bn::BigNum;
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::ssl::{SslAcceptor, SslMethod};
use openssl::x509::extension::{BasicConstraints, SubjectAlternativeName};
use openssl::x509::{X509, X509Builder, X509Name, X509NameBuilder};

/// The name that may send.
pub(crate) const USER: &str = "watchkeep";

/// Its password.
pub(crate) const PASSWORD: &str = "correct horse battery";

/// An authority that nobody knows but whoever is given its certificate.
pub(crate) struct Authority {
    key: PKey<Private>,
    certificate: X509,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let key = new_key();
        let name = named(name);
        let mut builder = unsigned(&name, &name, &key);
        let authority = BasicConstraints::new().critical().ca().build().expect("an extension");
        builder.append_extension(authority).expect("an extension");
        builder.sign(&key, MessageDigest::sha256()).expect("a signature");
        Self { key, certificate: builder.build() }
    }

    pub(crate) fn write(&self, path: &Path) {
        std::fs::write(path, self.certificate.to_pem().expect("PEM")).expect("disk");
    }

    /// What a server shows that says to be this address or name.
    fn acceptor(&self, of: &str) -> SslAcceptor {
        let key = new_key();
        let mut builder = unsigned(&named(of), self.certificate.subject_name(), &key);
        let mut names = SubjectAlternativeName::new();
        match of.parse::<std::net::IpAddr>() {
            Ok(_) => names.ip(of),
            Err(_) => names.dns(of),
        };
        let context = builder.x509v3_context(Some(&self.certificate), None);
        let names = names.build(&context).expect("an extension");
        builder.append_extension(names).expect("an extension");
        builder.sign(&self.key, MessageDigest::sha256()).expect("a signature");
        let mut acceptor =
            SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server()).expect("OpenSSL");
        acceptor.set_private_key(&key).expect("a key");
        acceptor.set_certificate(&builder.build()).expect("a certificate");
        acceptor.build()
    }
}

fn new_key() -> PKey<Private> {
    let curve = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).expect("OpenSSL");
    PKey::from_ec_key(EcKey::generate(&curve).expect("a key")).expect("a key")
}

fn named(name: &str) -> X509Name {
    let mut builder = X509NameBuilder::new().expect("OpenSSL");
    builder.append_entry_by_text("CN", name).expect("a name");
    builder.build()
}

fn unsigned(
    subject: &X509Name,
    issuer: &openssl::x509::X509NameRef,
    key: &PKey<Private>,
) -> X509Builder {
    let mut builder = X509::builder().expect("OpenSSL");
    builder.set_version(2).expect("version 3");
    let number = BigNum::from_u32(1).and_then(|number| number.to_asn1_integer()).expect("a number");
    builder.set_serial_number(&number).expect("a number");
    builder.set_subject_name(subject).expect("a name");
    builder.set_issuer_name(issuer).expect("a name");
    builder.set_pubkey(key).expect("a key");
    builder.set_not_before(&Asn1Time::days_from_now(0).expect("a time")).expect("a time");
    builder.set_not_after(&Asn1Time::days_from_now(1).expect("a time")).expect("a time");
    builder
}

/// How a server takes to TLS.
#[derive(Clone)]
enum Tls {
    /// From the first byte.
    Implicit(SslAcceptor),
    /// By STARTTLS, and nothing before.
    Starttls(SslAcceptor),
    /// Knows none.
    Unknown,
}

/// What a server has seen.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    /// Commands that came in the clear.
    pub(crate) clear: Vec<String>,
    /// Mails that it took, after TLS and the login.
    pub(crate) mails: Vec<String>,
    /// Connections that went through.
    pub(crate) connections: u32,
}

/// A mail server for [`USER`] alone.
#[derive(Clone)]
pub(crate) struct SafeMailServer {
    pub(crate) port: u16,
    tls: Tls,
    seen: Arc<Mutex<Seen>>,
}

impl SafeMailServer {
    pub(crate) fn implicit(authority: &Authority, of: &str) -> Self {
        Self::start(Tls::Implicit(authority.acceptor(of)))
    }

    pub(crate) fn starttls(authority: &Authority, of: &str) -> Self {
        Self::start(Tls::Starttls(authority.acceptor(of)))
    }

    pub(crate) fn without() -> Self {
        Self::start(Tls::Unknown)
    }

    fn start(tls: Tls) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let server = Self { port, tls, seen: Arc::default() };
        let own = server.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let own = own.clone();
                std::thread::spawn(move || own.serve(stream));
            }
        });
        server
    }

    pub(crate) fn seen(&self) -> Seen {
        self.seen.lock().expect("whole").clone()
    }

    fn serve(&self, mut stream: TcpStream) -> Option<()> {
        self.seen.lock().ok()?.connections += 1;
        match &self.tls {
            Tls::Implicit(acceptor) => {
                let mut secured = BufReader::new(acceptor.accept(stream).ok()?);
                secured.get_mut().write_all(b"220 test\r\n").ok()?;
                self.talk(&mut secured)
            }
            Tls::Starttls(acceptor) => {
                self.before_tls(&mut stream, "250-test\r\n250 STARTTLS\r\n")?;
                self.talk(&mut BufReader::new(acceptor.accept(stream).ok()?))
            }
            Tls::Unknown => self.before_tls(&mut stream, "250 test\r\n"),
        }
    }

    /// Everything in the clear: `Some` where TLS begins.
    fn before_tls(&self, stream: &mut TcpStream, hello: &str) -> Option<()> {
        stream.write_all(b"220 test\r\n").ok()?;
        loop {
            let line = line_of(stream)?;
            self.seen.lock().ok()?.clear.push(line.trim().to_owned());
            let answer = match verb(&line).as_str() {
                "EHLO" => hello,
                "STARTTLS" if hello.contains("STARTTLS") => {
                    stream.write_all(b"220 go on\r\n").ok()?;
                    return Some(());
                }
                _ => "530 5.7.0 Must issue a STARTTLS command first\r\n",
            };
            stream.write_all(answer.as_bytes()).ok()?;
        }
    }

    fn talk<S: Read + Write>(&self, stream: &mut BufReader<S>) -> Option<()> {
        let (mut mail, mut known) = (String::new(), false);
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).ok()? == 0 {
                return None;
            }
            let answer = match verb(&line).as_str() {
                "EHLO" => "250-test\r\n250-8BITMIME\r\n250 AUTH PLAIN\r\n".to_owned(),
                "AUTH" => {
                    let told = line.split_whitespace().nth(2).unwrap_or_default().to_owned();
                    let expected = BASE64.encode(format!("\0{USER}\0{PASSWORD}"));
                    known = told == expected;
                    let plain = BASE64.decode(&told).unwrap_or_default();
                    let plain = String::from_utf8_lossy(&plain).replace('\0', " ");
                    match known {
                        true => "235 2.7.0 welcome\r\n".to_owned(),
                        false => format!("535 5.7.8 unknown: {told} {plain}\r\n"),
                    }
                }
                "QUIT" => {
                    stream.get_mut().write_all(b"221 bye\r\n").ok()?;
                    return Some(());
                }
                _ if !known => "530 5.7.0 Authentication required\r\n".to_owned(),
                "DATA" => {
                    stream.get_mut().write_all(b"354 go on\r\n").ok()?;
                    loop {
                        let mut line = String::new();
                        stream.read_line(&mut line).ok()?;
                        if line == ".\r\n" {
                            break;
                        }
                        mail.push_str(&line);
                    }
                    self.seen.lock().ok()?.mails.push(std::mem::take(&mut mail));
                    "250 taken\r\n".to_owned()
                }
                _ => {
                    mail.push_str(&line);
                    "250 ok\r\n".to_owned()
                }
            };
            stream.get_mut().write_all(answer.as_bytes()).ok()?;
        }
    }
}

fn verb(line: &str) -> String {
    line.split_whitespace().next().unwrap_or_default().to_ascii_uppercase()
}

/// One line, byte by byte, so that nothing of what follows is swallowed.
fn line_of(stream: &mut TcpStream) -> Option<String> {
    let mut line = Vec::new();
    while !line.ends_with(b"\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).ok()?;
        line.push(byte[0]);
    }
    String::from_utf8(line).ok()
}
