//! An `errno` value. Every kernel call that can fail returns `Result<_, Errno>`; `abi` stores it where C looks for it.

/// A Linux error number, such as `EAGAIN`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, serde::Serialize, serde::Deserialize)]
pub struct Errno(pub i32);

macro_rules! errnos {
    ($($name:ident),* $(,)?) => {
        #[cfg(target_os = "linux")]
        impl Errno {
            $(#[doc = concat!("`", stringify!($name), "`, see errno(3).")] pub const $name: Errno = Errno(libc::$name);)*
            /// The symbolic name, `"E?"` for a number that the kernel never produces.
            pub fn name(self) -> &'static str {
                match self.0 { $(libc::$name => stringify!($name),)* _ => "E?" }
            }
        }
    };
}

#[cfg(not(target_os = "linux"))]
impl Errno {
    /// No call of the kernel's fails here, since there is no kernel.
    pub fn name(self) -> &'static str {
        "E?"
    }
}

errnos!(
    EPERM,
    ENOENT,
    ESRCH,
    EINTR,
    EIO,
    ENXIO,
    EBADF,
    EAGAIN,
    ENOMEM,
    EACCES,
    EFAULT,
    EBUSY,
    EEXIST,
    ENODEV,
    ENOTDIR,
    EINVAL,
    ENFILE,
    EMFILE,
    ENOTTY,
    ESPIPE,
    EPIPE,
    EDOM,
    ERANGE,
    EDEADLK,
    ENOSYS,
    ELOOP,
    EPROTO,
    EOVERFLOW,
    ENOTSOCK,
    EDESTADDRREQ,
    EMSGSIZE,
    EPROTOTYPE,
    ENOPROTOOPT,
    EPROTONOSUPPORT,
    EOPNOTSUPP,
    EAFNOSUPPORT,
    EADDRINUSE,
    EADDRNOTAVAIL,
    ENETDOWN,
    ENETUNREACH,
    ECONNABORTED,
    ECONNRESET,
    ENOBUFS,
    EISCONN,
    ENOTCONN,
    ETIMEDOUT,
    ECONNREFUSED,
    EHOSTUNREACH,
    EALREADY,
    EINPROGRESS,
    ECANCELED,
    ENOSPC,
);

/// What a kernel call returns.
pub type Result<T> = std::result::Result<T, Errno>;
