//! Interfaces, and sets of them.

use graft_core::{InterfaceId, Malformed, Name};

use crate::{
    Contract, Describe, Described, Guard, MethodGuard, MethodModel, Param, ShapeError, Type, TypeId, TypeSet,
    check, check_each,
};

/// The Unified Graft Model: a set of interfaces.
///
/// ```
/// assert_eq!(graft_ugm::Model::default().interfaces().len(), 0);
/// ```
#[doc(alias = "Unified Graft Model")]
#[doc(alias = "UGM")]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Model {
    interfaces: Vec<Interface>,
}

impl Model {
    /// The same with the interface of `T`.
    #[must_use]
    pub fn with<T: Described>(self) -> Self {
        self.with_interface(T::interface().clone())
    }

    /// The same with `interface`, in place of one that has the same id.
    #[must_use]
    pub fn with_interface(mut self, interface: Interface) -> Self {
        self.interfaces.retain(|other| other.id != interface.id);
        self.interfaces.push(interface);
        self.interfaces.sort_by(|a, b| (a.name(), a.id).cmp(&(b.name(), b.id)));
        self
    }

    /// The interfaces, by name, then by id.
    pub fn interfaces(&self) -> &[Interface] {
        &self.interfaces
    }

    /// The interface with this id.
    pub fn interface(&self, id: InterfaceId) -> Option<&Interface> {
        self.interfaces.iter().find(|interface| interface.id == id)
    }
}

/// A described interface: its contract, its guard part, and a version that is in neither.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    id: InterfaceId,
    contract: Contract,
    guard: Guard,
    version: Option<Name>,
}

impl Interface {
    /// The hash of the contract: what both ends of a call must share.
    pub fn id(&self) -> InterfaceId {
        self.id
    }

    /// What it is called.
    pub fn name(&self) -> &Name {
        self.contract.name()
    }

    /// The version that its author gave it. No decision rests on it.
    pub fn version(&self) -> Option<&Name> {
        self.version.as_ref()
    }

    /// What callers must agree on.
    pub fn contract(&self) -> &Contract {
        &self.contract
    }

    /// What guards and readers know.
    pub fn guard(&self) -> &Guard {
        &self.guard
    }

    /// The hash of the guard part.
    pub fn guard_digest(&self) -> [u8; 32] {
        self.guard.digest()
    }

    /// Each method with its guard part, by name in byte order.
    pub fn methods(&self) -> impl Iterator<Item = (&MethodModel, &MethodGuard)> {
        self.contract.methods.iter().zip(&self.guard.methods)
    }

    /// Checks encoded arguments of the method at `index` in [`Interface::methods`].
    ///
    /// # Errors
    /// [`ShapeError`] says what is wrong.
    pub fn check_args(&self, index: usize, bytes: &[u8]) -> Result<(), ShapeError> {
        let method = self.contract.methods.get(index).ok_or(ShapeError::UnknownType)?;
        check_each(bytes, &self.contract.types, method.params.iter().map(|param| param.ty))
    }

    /// Checks an encoded result of the method at `index`.
    ///
    /// # Errors
    /// [`ShapeError`] says what is wrong.
    pub fn check_ok(&self, index: usize, bytes: &[u8]) -> Result<(), ShapeError> {
        let method = self.contract.methods.get(index).ok_or(ShapeError::UnknownType)?;
        check(bytes, &self.contract.types, method.ok)
    }

    /// Checks an encoded item of the stream that the parameter at `param` of the method at `index` is.
    ///
    /// # Errors
    /// [`ShapeError`] says what is wrong; of what is no stream no item is right.
    pub fn check_arg_item(&self, index: usize, param: usize, bytes: &[u8]) -> Result<(), ShapeError> {
        let method = self.contract.methods.get(index).ok_or(ShapeError::UnknownType)?;
        self.check_item(method.params.get(param).ok_or(ShapeError::UnknownType)?.ty, bytes)
    }

    /// Checks an encoded item of the stream that the method at `index` returns.
    ///
    /// # Errors
    /// As [`Interface::check_arg_item`].
    pub fn check_ok_item(&self, index: usize, bytes: &[u8]) -> Result<(), ShapeError> {
        self.check_item(self.contract.methods.get(index).ok_or(ShapeError::UnknownType)?.ok, bytes)
    }

    fn check_item(&self, stream: TypeId, bytes: &[u8]) -> Result<(), ShapeError> {
        match self.contract.types.type_of(stream) {
            Some(Type::Items(item)) => check(bytes, &self.contract.types, *item),
            _ => Err(ShapeError::UnknownType),
        }
    }

    /// Checks an encoded typed error of the method at `index`.
    ///
    /// # Errors
    /// [`ShapeError`] says what is wrong; a method without a typed error has none that is right.
    pub fn check_err(&self, index: usize, bytes: &[u8]) -> Result<(), ShapeError> {
        let method = self.contract.methods.get(index).ok_or(ShapeError::UnknownType)?;
        check(bytes, &self.contract.types, method.err.ok_or(ShapeError::UnknownType)?)
    }
}

impl From<ShapeError> for Malformed {
    fn from(_: ShapeError) -> Self {
        Malformed
    }
}

/// Makes an [`Interface`] from Rust types; the `#[interface]` attribute uses it.
///
/// ```
/// use graft_core::{Name, ToolMetadata};
/// use graft_ugm::{InterfaceBuilder, MethodGuard};
/// let tool = ToolMetadata::new(Name::from_static("Clock.hour"));
/// let clock = InterfaceBuilder::new(Name::from_static("Clock"))
///     .method("hour", MethodGuard::new(tool), |method| method.param::<i16>("offset").returns::<u8>())
///     .finish();
/// assert_eq!(clock.contract().methods()[0].params[0].name, "offset");
/// ```
pub struct InterfaceBuilder {
    name: Name,
    doc: String,
    version: Option<Name>,
    methods: Vec<(String, MethodGuard, Box<Signature>)>,
}

type Signature = dyn FnOnce(MethodBuilder<'_>) -> MethodBuilder<'_>;

impl InterfaceBuilder {
    /// An interface without methods.
    pub fn new(name: Name) -> Self {
        Self { name, doc: String::new(), version: None, methods: Vec::new() }
    }

    /// What it is for.
    #[must_use]
    pub fn doc(self, doc: impl Into<String>) -> Self {
        Self { doc: doc.into(), ..self }
    }

    /// Its version.
    #[must_use]
    pub fn version(self, version: Name) -> Self {
        Self { version: Some(version), ..self }
    }

    /// Adds a method, in place of one with the same name; `signature` says what it takes and returns.
    #[must_use]
    pub fn method(
        mut self,
        name: impl Into<String>,
        guard: MethodGuard,
        signature: impl FnOnce(MethodBuilder<'_>) -> MethodBuilder<'_> + 'static,
    ) -> Self {
        let name = name.into();
        self.methods.retain(|(other, ..)| *other != name);
        self.methods.push((name, guard, Box::new(signature)));
        self
    }

    /// The interface.
    pub fn finish(mut self) -> Interface {
        self.methods.sort_by(|a, b| a.0.cmp(&b.0));
        let mut types = TypeSet::default();
        let mut methods = Vec::with_capacity(self.methods.len());
        let mut guards = Vec::with_capacity(self.methods.len());
        for (name, guard, signature) in self.methods {
            let id = graft_core::MethodId::of(self.name.as_str(), &name);
            let empty = MethodBuilder { types: &mut types, params: Vec::new(), ok: None, err: None };
            let MethodBuilder { types, params, ok, err } = signature(empty);
            let ok = ok.unwrap_or_else(|| types.add::<()>());
            methods.push(MethodModel { name, id, params, ok, err });
            guards.push(guard);
        }
        let (types, docs) = types.into_parts();
        let contract = Contract { name: self.name, methods, types };
        let guard = Guard { doc: self.doc, methods: guards, types: docs };
        Interface { id: contract.id(), contract, guard, version: self.version }
    }
}

/// What a method takes and returns, in that order.
pub struct MethodBuilder<'a> {
    types: &'a mut TypeSet,
    params: Vec<Param>,
    ok: Option<TypeId>,
    err: Option<TypeId>,
}

impl MethodBuilder<'_> {
    /// The next parameter.
    #[must_use]
    pub fn param<T: Describe>(mut self, name: impl Into<String>) -> Self {
        self.params.push(Param { name: name.into(), ty: self.types.add::<T>() });
        self
    }

    /// The next parameter: a stream of `T`.
    #[must_use]
    pub fn param_items<T: Describe>(mut self, name: impl Into<String>) -> Self {
        self.params.push(Param { name: name.into(), ty: self.types.add_items::<T>() });
        self
    }

    /// The next parameter: a handle of a `T`.
    #[must_use]
    pub fn param_handle<T: Described>(mut self, name: impl Into<String>) -> Self {
        self.params.push(Param { name: name.into(), ty: self.types.add_handle::<T>() });
        self
    }

    /// The result, after all parameters: a stream of `T`.
    #[must_use]
    pub fn returns_items<T: Describe>(mut self) -> Self {
        self.ok = Some(self.types.add_items::<T>());
        self
    }

    /// The result, after all parameters: a handle of a `T`.
    #[must_use]
    pub fn returns_handle<T: Described>(mut self) -> Self {
        self.ok = Some(self.types.add_handle::<T>());
        self
    }

    /// The result, after all parameters; nothing unless it is said.
    #[must_use]
    pub fn returns<T: Describe>(mut self) -> Self {
        self.ok = Some(self.types.add::<T>());
        self
    }

    /// The method's own error, after the result.
    #[must_use]
    pub fn fails<E: Describe>(mut self) -> Self {
        self.ok = self.ok.or_else(|| Some(self.types.add::<()>()));
        self.err = Some(self.types.add::<E>());
        self
    }
}
