//! The key of hashed phone numbers: from a file, else one that nobody knows and that lasts as long as the process.

use std::io::Read as _;
use std::path::Path;
use std::sync::OnceLock;

use sip_monitor_engine::config::PrivacyKey;

use super::{Config, PrivacyMode};
use crate::cli::exit::{Code, Failure};

/// A shorter secret could be tried as well as the numbers.
const SHORTEST_BYTES: usize = 16;
/// No key file is longer; what is, is another file.
const LONGEST_BYTES: u64 = 64 * 1024;

/// The key that `config` asks for. Without `privacy_key_file` it is drawn once and kept over a reload: the numbers of one
/// run can be matched with each other and with nothing else.
///
/// # Errors
/// Where the file cannot be read or holds too little, or the kernel gives no random bytes.
pub fn privacy_key(config: &Config) -> Result<PrivacyKey, Failure> {
    match (config.privacy, &config.privacy_key_file) {
        (PrivacyMode::Mask | PrivacyMode::Plain, _) => Ok(PrivacyKey::default()),
        (PrivacyMode::Hash, Some(path)) => from_file(path),
        (PrivacyMode::Hash, None) => drawn(),
    }
}

fn from_file(path: &Path) -> Result<PrivacyKey, Failure> {
    let fault = |what: String| {
        Failure::new(Code::Config, format!("privacy_key_file {}: {what}", path.display()))
            .fix("make one that only root can read: (umask 077; head -c 32 /dev/urandom > FILE)")
    };
    let mut secret = Vec::new();
    let file = std::fs::File::open(path).map_err(|e| fault(e.to_string()))?;
    file.take(LONGEST_BYTES).read_to_end(&mut secret).map_err(|e| fault(e.to_string()))?;
    if secret.len() < SHORTEST_BYTES {
        return Err(fault(format!("{} bytes, at least {SHORTEST_BYTES} make a key", secret.len())));
    }
    Ok(PrivacyKey::from_secret(&secret))
}

fn drawn() -> Result<PrivacyKey, Failure> {
    static DRAWN: OnceLock<PrivacyKey> = OnceLock::new();
    if let Some(key) = DRAWN.get() {
        return Ok(*key);
    }
    let mut bytes = [0; 16];
    let read = std::fs::File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut bytes));
    read.map_err(|e| Failure::new(Code::Software, format!("no random bytes for the key of hashed numbers: {e}")))?;
    Ok(*DRAWN.get_or_init(|| PrivacyKey(bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hashing(file: Option<&Path>) -> Config {
        Config { privacy: PrivacyMode::Hash, privacy_key_file: file.map(Path::to_owned), ..Config::default() }
    }

    #[test]
    fn a_key_comes_from_its_file_or_is_drawn_once_for_the_process() {
        let path = std::env::temp_dir().join(format!("sip-monitor-key-{}", std::process::id()));
        std::fs::write(&path, [3; 32]).unwrap();
        assert_eq!(privacy_key(&hashing(Some(&path))).unwrap(), PrivacyKey::from_secret(&[3; 32]));
        std::fs::write(&path, "short").unwrap();
        assert!(privacy_key(&hashing(Some(&path))).unwrap_err().to_string().contains("at least 16"));
        std::fs::remove_file(&path).unwrap();
        assert!(privacy_key(&hashing(Some(&path))).is_err());
        let drawn = privacy_key(&hashing(None)).unwrap();
        assert_ne!(drawn, PrivacyKey::default());
        assert_eq!(drawn, privacy_key(&hashing(None)).unwrap());
    }
}
