//! Four ordinary Rust types, exposed as they are.

use std::collections::BTreeMap;
use std::sync::Mutex;

use graft::{Describe, interface};
use serde::{Deserialize, Serialize};

/// A letter in the inbox.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Describe)]
pub struct Message {
    /// Given by the mail system.
    pub id: u32,
    /// Who sent it.
    pub from: String,
    /// What it is about.
    pub subject: String,
    /// What it says.
    pub body: String,
}

/// A payment that was made or received.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Describe)]
pub struct Transaction {
    /// Given by the bank.
    pub id: u32,
    /// Who paid.
    pub sender: String,
    /// Who was paid.
    pub recipient: String,
    /// Euros and cents, as text.
    pub amount: String,
    /// What the payer wrote.
    pub subject: String,
}

/// Somebody in the address book.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Describe)]
pub struct Contact {
    /// The name.
    pub name: String,
    /// The mail address.
    pub email: String,
    /// The account.
    pub iban: String,
}

/// Why a service did not do what was asked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Describe)]
pub enum Refused {
    /// There is nothing under this name or number.
    NotFound,
    /// The amount is not a number of euros.
    BadAmount,
}

/// What the services hold at the beginning of a run.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct World {
    pub messages: Vec<Message>,
    pub transactions: Vec<Transaction>,
    pub contacts: Vec<Contact>,
    pub pages: BTreeMap<String, String>,
    pub files: BTreeMap<String, String>,
}

/// The user's mail.
#[derive(Default)]
pub struct Inbox {
    messages: Mutex<Vec<Message>>,
    contacts: Mutex<Vec<Contact>>,
    pub sent: Mutex<Vec<(String, String)>>,
}

#[interface]
impl Inbox {
    /// Every letter. Strangers wrote subject and body, and chose the name they send under.
    #[interface(effect = "read-only", trust = "untrusted", sensitivity = "internal")]
    #[interface(fields(id = "trusted", from = "structured", subject = "untrusted", body = "untrusted"))]
    pub fn list(&self) -> Vec<Message> {
        lock(&self.messages).clone()
    }

    /// Looks somebody up in the user's own address book.
    #[interface(effect = "read-only", trust = "trusted", sensitivity = "internal")]
    #[interface(args(name = "query"))]
    pub fn find_contact(&self, name: &str) -> Result<Contact, Refused> {
        let contacts = lock(&self.contacts);
        contacts.iter().find(|contact| contact.name == name).cloned().ok_or(Refused::NotFound)
    }

    /// Sends a letter.
    #[interface(effect = "external-stateful", exfil = "message", trust = "trusted")]
    #[interface(args(to = "destination", body = "content"))]
    #[interface(intent("send", "mail", "write", "reply", "answer", "forward", "tell", "invite"))]
    pub fn send(&self, to: &str, body: &str) {
        lock(&self.sent).push((to.to_owned(), body.to_owned()));
    }

    /// Deletes a letter.
    #[interface(effect = "side-effecting", trust = "trusted", args(id = "target"))]
    #[interface(intent("delete", "remove", "clean"))]
    pub fn delete(&self, id: u32) -> Result<(), Refused> {
        let mut messages = lock(&self.messages);
        let at = messages.iter().position(|message| message.id == id).ok_or(Refused::NotFound)?;
        messages.remove(at);
        Ok(())
    }
}

/// The user's account.
#[derive(Default)]
pub struct Bank {
    transactions: Mutex<Vec<Transaction>>,
}

#[interface]
impl Bank {
    /// What came in and went out. Payers chose the subject; what the user paid, the user wrote.
    #[interface(effect = "read-only", trust = "untrusted", sensitivity = "secret")]
    #[interface(fields(id = "trusted", amount = "trusted", sender = "structured"))]
    #[interface(fields(recipient = "structured", subject = "untrusted"))]
    #[interface(records(field = "sender", trust = "trusted"))]
    pub fn transactions(&self) -> Vec<Transaction> {
        lock(&self.transactions).clone()
    }

    /// Pays at once, and tells the number of the payment.
    #[interface(effect = "external-stateful", exfil = "payment", trust = "trusted")]
    #[interface(args(recipient = "destination", amount = "control", subject = "content"))]
    #[interface(intent("pay", "send", "transfer", "refund", "repay"))]
    pub async fn send_money(&self, recipient: &str, amount: &str, subject: &str) -> Result<u32, Refused> {
        let paid: f64 = amount.parse().map_err(|_| Refused::BadAmount)?;
        if !(paid.is_finite() && paid > 0.0) {
            return Err(Refused::BadAmount);
        }
        let mut transactions = lock(&self.transactions);
        let id = transactions.iter().map(|transaction| transaction.id).max().unwrap_or(0) + 1;
        transactions.push(Transaction {
            id,
            sender: "me".to_owned(),
            recipient: recipient.to_owned(),
            amount: amount.to_owned(),
            subject: subject.to_owned(),
        });
        Ok(id)
    }
}

/// Pages of the web. Asking for one tells its owner that somebody did.
#[derive(Default)]
pub struct Web {
    pages: Mutex<BTreeMap<String, String>>,
}

#[interface]
impl Web {
    /// Fetches a page.
    #[interface(effect = "read-only", exfil = "url", origin = "web-search", trust = "untrusted")]
    #[interface(args(url = "destination"))]
    #[interface(intent("page", "site", "web", "read", "visit", "look", "fetch", "summar"))]
    pub async fn fetch(&self, url: &str) -> Result<String, Refused> {
        lock(&self.pages).get(url).cloned().ok_or(Refused::NotFound)
    }
}

/// Files that others shared with the user.
#[derive(Default)]
pub struct Files {
    files: Mutex<BTreeMap<String, String>>,
}

#[interface]
impl Files {
    /// Reads a file; whoever shared it wrote it.
    #[interface(effect = "read-only", trust = "untrusted", args(name = "query"))]
    pub fn read(&self, name: &str) -> Result<String, Refused> {
        lock(&self.files).get(name).cloned().ok_or(Refused::NotFound)
    }

    /// Lets somebody read and write a file.
    #[interface(effect = "external-stateful", exfil = "share", trust = "trusted")]
    #[interface(args(name = "target", with = "destination"), intent("share", "access"))]
    pub fn share(&self, name: &str, with: &str) -> Result<(), Refused> {
        let known = lock(&self.files).contains_key(name) && !with.is_empty();
        if known { Ok(()) } else { Err(Refused::NotFound) }
    }
}

/// The four of them, and how a run begins.
#[derive(Default)]
pub struct Services {
    pub inbox: std::sync::Arc<Inbox>,
    pub bank: std::sync::Arc<Bank>,
    pub web: std::sync::Arc<Web>,
    pub files: std::sync::Arc<Files>,
}

impl Services {
    /// Replaces what they hold. Not described, so no caller can reach it.
    pub fn load(&self, world: World) {
        *lock(&self.inbox.messages) = world.messages;
        *lock(&self.inbox.contacts) = world.contacts;
        lock(&self.inbox.sent).clear();
        *lock(&self.bank.transactions) = world.transactions;
        *lock(&self.web.pages) = world.pages;
        *lock(&self.files.files) = world.files;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}
