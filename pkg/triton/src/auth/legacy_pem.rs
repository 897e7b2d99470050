//! Legacy PEM encryption: `Proc-Type: 4,ENCRYPTED` and `DEK-Info`, as `ssh-keygen -m PEM` and
//! `openssl rsa -aes256` still write it. Of it, russh decrypts AES-128 only.

use aes::{Aes128, Aes192, Aes256};
use cbc::Decryptor;
use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockModeDecrypt, KeyIvInit};
use des::TdesEde3;
use md5::{Digest as _, Md5};
use zeroize::{Zeroize as _, Zeroizing};

use super::KeyError;

/// Key, initialisation vector and ciphertext to plain text, unless its padding is wrong.
type Decrypt = fn(&[u8], &[u8], &[u8]) -> Option<Zeroizing<Vec<u8>>>;

/// What a `DEK-Info` header names.
struct Cipher {
    key_size: usize,
    iv_size: usize,
    decrypt: Decrypt,
}

impl Cipher {
    fn named(name: &str) -> Option<Self> {
        match name {
            "AES-128-CBC" => {
                Some(Self { key_size: 16, iv_size: 16, decrypt: decrypt_cbc::<Decryptor<Aes128>> })
            }
            "AES-192-CBC" => {
                Some(Self { key_size: 24, iv_size: 16, decrypt: decrypt_cbc::<Decryptor<Aes192>> })
            }
            "AES-256-CBC" => {
                Some(Self { key_size: 32, iv_size: 16, decrypt: decrypt_cbc::<Decryptor<Aes256>> })
            }
            "DES-EDE3-CBC" => {
                Some(Self { key_size: 24, iv_size: 8, decrypt: decrypt_cbc::<Decryptor<TdesEde3>> })
            }
            _ => None,
        }
    }
}

/// Decrypts the body of a PEM block by its `DEK-Info` header: the cipher's name, a comma, and the
/// initialisation vector in hexadecimal.
pub(super) fn decrypt(
    dek_info: &str,
    body: &[u8],
    passphrase: &[u8],
) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let (name, iv) = dek_info.split_once(',').ok_or(KeyError::Damaged { source: None })?;
    let name = name.trim().to_ascii_uppercase();
    let cipher = Cipher::named(&name).ok_or(KeyError::Cipher { cipher: name })?;
    let iv =
        hex(iv.trim()).filter(|iv| iv.len() == cipher.iv_size).ok_or(KeyError::Damaged { source: None })?;
    let key = derive_key(passphrase, &iv, cipher.key_size);
    (cipher.decrypt)(&key, &iv, body).ok_or(KeyError::WrongPassphrase { source: None })
}

/// OpenSSL's `EVP_BytesToKey` with MD5 and one round; the salt is the first eight bytes of the vector.
fn derive_key(passphrase: &[u8], iv: &[u8], size: usize) -> Zeroizing<Vec<u8>> {
    let salt = iv.get(..8).unwrap_or(iv);
    let mut key = Zeroizing::new(Vec::with_capacity(size.next_multiple_of(16)));
    let mut last: [u8; 16] = Md5::new().chain_update(passphrase).chain_update(salt).finalize().into();
    key.extend_from_slice(&last);
    while key.len() < size {
        last = Md5::new().chain_update(last).chain_update(passphrase).chain_update(salt).finalize().into();
        key.extend_from_slice(&last);
    }
    last.zeroize();
    key.truncate(size);
    key
}

fn decrypt_cbc<D: KeyIvInit + BlockModeDecrypt>(
    key: &[u8],
    iv: &[u8],
    body: &[u8],
) -> Option<Zeroizing<Vec<u8>>> {
    let mut plain = Zeroizing::new(body.to_vec());
    let size = D::new_from_slices(key, iv).ok()?.decrypt_padded::<Pkcs7>(&mut plain).ok()?.len();
    plain.truncate(size);
    Some(plain)
}

fn hex(text: &str) -> Option<Vec<u8>> {
    if !text.bytes().all(|digit| digit.is_ascii_hexdigit()) || !text.len().is_multiple_of(2) {
        return None;
    }
    (0..text.len())
        .step_by(2)
        .map(|at| text.get(at..at.saturating_add(2)).and_then(|pair| u8::from_str_radix(pair, 16).ok()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(dek_info: &str, body: &str, expected: Result<&[u8], &str>) {
        let found = decrypt(dek_info, &hex(body).expect("hexadecimal"), b"test");
        assert_eq!(
            found.as_deref().map(Vec::as_slice).map_err(ToString::to_string),
            expected.map_err(str::to_owned),
            "{dek_info}"
        );
    }

    const DAMAGED: &str = "it is damaged: restore it from a copy, or make a new key";
    const WRONG: &str = "its passphrase is wrong, or it is damaged";

    /// The keys are those of `openssl enc -CIPHER -md md5 -pass pass:test -S 0001020304050607 -P`, the
    /// ciphertexts those of `printf 'triton library' | openssl enc -CIPHER -K KEY -iv IV`.
    #[test]
    fn what_openssl_encrypted_is_decrypted() {
        let iv = "000102030405060708090a0b0c0d0e0f";
        let plain = Ok(b"triton library".as_slice());
        check(&format!("AES-128-CBC,{iv}"), "f3bfbf55afc14a679a144f6b4b026b8d", plain);
        check(&format!("AES-192-CBC,{iv}"), "9f11a8be4c16df52a625ba51b83f73d1", plain);
        check(&format!("AES-256-CBC,{iv}"), "864948fbbfbca7d730b150144890a79f", plain);
        check("des-ede3-cbc, 0001020304050607", "0771ceeccd31021322e38c9a7e79e8c3", plain);
    }

    #[test]
    fn malformed_headers_and_wrong_passphrases_are_told_apart() {
        check("AES-256-CBC", "00", Err(DAMAGED));
        check("AES-256-CBC,", "00", Err(DAMAGED));
        check("AES-256-CBC,0011", "00", Err(DAMAGED));
        check("AES-256-CBC,zz112233445566778899aabbccddeeff", "00", Err(DAMAGED));
        check("AES-256-CBC,00112233445566778899aabbccddeef", "00", Err(DAMAGED));
        check("AES-256-CBC,00112233445566778899aabbccddeeff", "00", Err(WRONG));
        check("AES-256-CBC,00112233445566778899aabbccddeeff", "", Err(WRONG));
        check("DES-EDE3-CBC,0011223344556677", "0011223344556677", Err(WRONG));
        let found = decrypt("RC2-40-CBC,0011223344556677", b"", b"test").map_err(|error| error.to_string());
        assert!(found.as_ref().is_err_and(|error| error.contains("RC2-40-CBC")), "{found:?}");
    }
}
