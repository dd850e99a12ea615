//! Who may call: the place at which a receiver's authenticators stand.

use crate::{FaultCode, FieldValue, Fields, Name, Request};

/// Decides whether a call that came in may be carried out at all, before its arguments are decoded.
///
/// What it can go by is in the request: the method, the credential and what the connection knows of its peer. What
/// it answers is what the receiver records, so the names are the host's own words and hold nothing of a credential.
///
/// ```
/// use graft_core::{Admit, Admitted, FaultCode, Name, Refused, Request};
/// /// Lets in whoever has the one token.
/// struct OneToken(Vec<u8>);
/// impl Admit for OneToken {
///     fn admit(&self, request: &Request<'_>) -> Result<Admitted, Refused> {
///         const US: Name = Name::from_static("one-token");
///         let offered = request.meta.credential.as_ref();
///         match offered.is_some_and(|token| token.expose() == self.0) {
///             true => Ok(Admitted::new(Name::from_static("operator"), US, Name::from_static("bearer"))),
///             false => Err(Refused::Unauthenticated { authenticator: US, proof: None }),
///         }
///     }
/// }
/// # let (meta, label) = (graft_core::Metadata::new(graft_core::RunId([1; 16]), graft_core::CallId(1)), Default::default());
/// # let request = Request::new(graft_core::InterfaceId([1; 32]), graft_core::MethodId([1; 8]), &meta, &label);
/// let refused = OneToken(vec![7; 32]).admit(&request).unwrap_err();
/// assert_eq!(refused.code(), FaultCode::Unauthenticated);
/// ```
pub trait Admit: Send + Sync {
    /// Lets the call in, and says who calls.
    ///
    /// # Errors
    /// Why not. Of it the caller is told [`Refused::code`] and nothing else.
    fn admit(&self, request: &Request<'_>) -> Result<Admitted, Refused>;
}

/// Who calls, and how that was proved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admitted {
    /// Who was proved to call: whom records name as acting.
    pub principal: Name,
    /// Who let them in, such as `api-tokens`.
    pub authenticator: Name,
    /// By what it was proved, such as `bearer-token`, `client-certificate` or `unix-user`.
    pub proof: Name,
}

impl Admitted {
    /// `principal`, whom `authenticator` lets in on `proof`.
    pub fn new(principal: Name, authenticator: Name, proof: Name) -> Self {
        Self { principal, authenticator, proof }
    }

    /// The fields of a record that says so: [`Fields::AUTHENTICATOR`] and [`Fields::PROOF`].
    pub fn fields(&self) -> Fields {
        standard([(Fields::AUTHENTICATOR, Some(&self.authenticator)), (Fields::PROOF, Some(&self.proof))])
    }
}

/// Why a call may not be carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Nobody was proved to call.
    Unauthenticated {
        /// Who refused.
        authenticator: Name,
        /// What was offered as proof and is none, if anything was.
        proof: Option<Name>,
    },
    /// Whoever was proved to call may not do this.
    Forbidden {
        /// Who calls.
        who: Admitted,
        /// The scope that lacked, if it is for want of one.
        scope: Option<Name>,
    },
}

impl Refused {
    /// What the caller is told.
    pub const fn code(&self) -> FaultCode {
        match self {
            Self::Unauthenticated { .. } => FaultCode::Unauthenticated,
            Self::Forbidden { .. } => FaultCode::Forbidden,
        }
    }

    /// Who was proved to call, if anybody was.
    pub const fn principal(&self) -> Option<&Name> {
        match self {
            Self::Unauthenticated { .. } => None,
            Self::Forbidden { who, .. } => Some(&who.principal),
        }
    }

    /// The fields of a record that says so: [`Fields::AUTHENTICATOR`], [`Fields::PROOF`] and [`Fields::SCOPE`], as
    /// far as they are known.
    pub fn fields(&self) -> Fields {
        let (authenticator, proof, scope) = match self {
            Self::Unauthenticated { authenticator, proof } => (authenticator, proof.as_ref(), None),
            Self::Forbidden { who, scope } => (&who.authenticator, Some(&who.proof), scope.as_ref()),
        };
        standard([
            (Fields::AUTHENTICATOR, Some(authenticator)),
            (Fields::PROOF, proof),
            (Fields::SCOPE, scope),
        ])
    }
}

fn standard<const N: usize>(fields: [(Name, Option<&Name>); N]) -> Fields {
    let known = fields.into_iter().filter_map(|(name, value)| Some((name, FieldValue::Name(value?.clone()))));
    Fields::new(known).unwrap_or_else(|_| unreachable!("few names, each once"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn name(text: &'static str) -> Name {
        Name::from_static(text)
    }

    fn fields(words: &[(Name, &'static str)]) -> Fields {
        let words = words.iter().map(|(field, word)| (field.clone(), FieldValue::Name(name(word))));
        Fields::new(words).expect("few")
    }

    #[test]
    fn a_record_of_authentication_says_by_whom_how_and_what_lacked() {
        let who = Admitted::new(name("ann"), name("api-tokens"), name("bearer-token"));
        let by = (Fields::AUTHENTICATOR, "api-tokens");
        let known = [by.clone(), (Fields::PROOF, "bearer-token")];
        assert_eq!(who.fields(), fields(&known));
        let lacks = Refused::Forbidden { who, scope: Some(name("agents:invoke")) };
        let [by, proof] = known;
        assert_eq!(lacks.fields(), fields(&[by.clone(), proof, (Fields::SCOPE, "agents:invoke")]));
        assert_eq!((lacks.code(), lacks.principal()), (FaultCode::Forbidden, Some(&name("ann"))));
        let nobody = Refused::Unauthenticated { authenticator: name("api-tokens"), proof: None };
        assert_eq!((nobody.fields(), nobody.principal()), (fields(&[by]), None));
    }
}
