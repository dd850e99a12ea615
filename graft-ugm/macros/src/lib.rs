//! The interface attribute and the Describe derive of graft-ugm.
