//! The program of the server, the same in both worlds: each port behaves in its own way.

use std::io::Result;
use std::os::fd::AsRawFd;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream, UdpSocket};

/// Sends back what arrives; UDP too.
pub const ECHO: u16 = 7;
/// Accepts and never reads.
pub const DEAF: u16 = 8;
/// Reads one byte, then closes with the rest unread.
pub const UNREAD: u16 = 9;
/// Ends its own direction at once, then reads to the end.
pub const HALF: u16 = 10;
/// Closes at once.
pub const CLOSES: u16 = 11;
/// Resets the connection at the first byte.
pub const RESETS: u16 = 12;
/// Listens with a backlog of 1 and never accepts.
pub const FULL: u16 = 13;
/// Counts bytes to the end and answers with their number and sum.
pub const SINK: u16 = 14;
/// Nobody listens.
pub const CLOSED: u16 = 99;

/// Sets an integer option of a socket.
pub fn set(socket: &impl AsRawFd, level: i32, name: i32, value: &[i32]) {
    // SAFETY: the value is readable for its size.
    let r = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            name,
            value.as_ptr().cast(),
            size_of_val(value) as u32,
        )
    };
    assert_eq!(r, 0, "{}", std::io::Error::last_os_error());
}

async fn behave(port: u16, mut s: TcpStream) -> Result<()> {
    // What is left when the process dies goes with a reset, as after the crash of a machine.
    let lingers = matches!(port, ECHO | RESETS);
    if lingers {
        set(&s, libc::SOL_SOCKET, libc::SO_LINGER, &[1, 0]);
    }
    let mut buf = vec![0; 4096];
    match port {
        ECHO => loop {
            let n = s.read(&mut buf).await?;
            s.write_all(&buf[..n]).await?;
            if n == 0 {
                return Ok(());
            }
        },
        DEAF => std::future::pending().await,
        UNREAD => {
            s.readable().await?;
            tokio::time::sleep(Duration::from_millis(50)).await;
            s.read_exact(&mut buf[..1]).await?;
            Ok(())
        }
        HALF => {
            s.shutdown().await?;
            while s.read(&mut buf).await? > 0 {}
            std::future::pending().await
        }
        RESETS => s.read_exact(&mut buf[..1]).await.map(drop),
        SINK => {
            let (mut count, mut sum) = (0, 0u64);
            loop {
                let n = s.read(&mut buf).await?;
                if n == 0 {
                    break;
                }
                count += n;
                sum += buf[..n].iter().map(|b| u64::from(*b)).sum::<u64>();
            }
            s.write_all(format!("{count} bytes, sum {sum}").as_bytes())
                .await
        }
        _ => Ok(()),
    }
}

async fn accept(port: u16) -> Result<()> {
    let listener = TcpListener::bind(("0.0.0.0", port)).await?;
    loop {
        let (s, _) = listener.accept().await?;
        tokio::spawn(behave(port, s));
    }
}

/// All ports, until it is killed.
pub async fn serve() -> Result<()> {
    for port in [ECHO, DEAF, UNREAD, HALF, CLOSES, RESETS, SINK] {
        tokio::spawn(accept(port));
    }
    let full = TcpSocket::new_v4()?;
    full.set_reuseaddr(true)?;
    full.bind((std::net::Ipv4Addr::UNSPECIFIED, FULL).into())?;
    let _full = full.listen(1)?;
    let udp = UdpSocket::bind(("0.0.0.0", ECHO)).await?;
    let mut buf = [0; 1500];
    loop {
        let (n, from) = udp.recv_from(&mut buf).await?;
        udp.send_to(&buf[..n], from).await?;
    }
}
