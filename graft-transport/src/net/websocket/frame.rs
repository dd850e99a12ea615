//! Frames of RFC 6455, section 5, without any stream.

use super::WebSocketFault;

/// The longest header: two bytes, eight of length, four of mask.
pub(super) const MAX_HEADER: usize = 14;
/// The longest payload of a control frame.
pub(super) const MAX_CONTROL: usize = 125;

/// Which end this is. Only what a client sends is masked (RFC 6455, 5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Client,
    Server,
}

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Opcode {
    Continuation = 0x0,
    Text = 0x1,
    Binary = 0x2,
    Close = 0x8,
    Ping = 0x9,
    Pong = 0xA,
}

impl Opcode {
    fn of(byte: u8) -> Option<Self> {
        use Opcode::{Binary, Close, Continuation, Ping, Pong, Text};
        [Continuation, Text, Binary, Close, Ping, Pong].into_iter().find(|one| *one as u8 == byte & 0x0F)
    }

    fn is_control(self) -> bool {
        self as u8 >= 0x8
    }
}

/// The header of a whole message or control frame, and its length.
pub(super) fn header(opcode: Opcode, len: usize, mask: Option<[u8; 4]>) -> ([u8; MAX_HEADER], usize) {
    let mut out = [0; MAX_HEADER];
    out[0] = 0x80 | opcode as u8;
    let mut at = match len {
        0..=125 => {
            out[1] = len as u8;
            2
        }
        126..=0xFFFF => {
            out[1] = 126;
            out[2..4].copy_from_slice(&(len as u16).to_be_bytes());
            4
        }
        _ => {
            out[1] = 127;
            out[2..10].copy_from_slice(&(len as u64).to_be_bytes());
            10
        }
    };
    if let Some(mask) = mask {
        out[1] |= 0x80;
        out[at..at + 4].copy_from_slice(&mask);
        at += 4;
    }
    (out, at)
}

/// Masks or unmasks `bytes`, which begin `phase` bytes into their frame (RFC 6455, 5.3).
pub(super) fn mask(bytes: &mut [u8], mut key: [u8; 4], phase: usize) {
    key.rotate_left(phase % 4);
    let wide = u64::from_ne_bytes([key[0], key[1], key[2], key[3], key[0], key[1], key[2], key[3]]);
    let (eights, rest) = bytes.as_chunks_mut::<8>();
    for eight in eights {
        *eight = (u64::from_ne_bytes(*eight) ^ wide).to_ne_bytes();
    }
    for (byte, key) in rest.iter_mut().zip(key.into_iter().cycle()) {
        *byte ^= key;
    }
}

/// What a peer's frames say besides the bytes that they carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// To be answered with [`Decoder::control`].
    Ping,
    /// The peer closes, with this code if it gave one.
    Close(Option<u16>),
    /// The peer broke the protocol; there is nothing more to decode.
    Fault(WebSocketFault),
}

/// Takes the payload of binary messages out of a stream of frames. It holds a header and a control frame, at
/// most; a message is never gathered.
#[derive(Debug)]
pub(super) struct Decoder {
    role: Role,
    max_message: u64,
    header: [u8; MAX_HEADER],
    /// How many bytes of a header there are, while one is read.
    have: usize,
    frame: Option<Frame>,
    /// Bytes of the message so far, between its first frame and the end of its last.
    message: Option<u64>,
    control: [u8; MAX_CONTROL],
    control_len: usize,
}

/// A frame whose payload is being read.
#[derive(Clone, Copy, Debug)]
struct Frame {
    opcode: Opcode,
    last: bool,
    left: u64,
    mask: Option<[u8; 4]>,
    phase: usize,
}

impl Decoder {
    pub(super) fn new(role: Role, max_message: u64) -> Self {
        Self {
            role,
            max_message,
            header: [0; MAX_HEADER],
            have: 0,
            frame: None,
            message: None,
            control: [0; MAX_CONTROL],
            control_len: 0,
        }
    }

    /// The payload of the last control frame.
    pub(super) fn control(&self) -> &[u8] {
        &self.control[..self.control_len]
    }

    /// Decodes `raw` in place: reads from `*from` on and moves payload to `*to`, both of which go forward. Stops
    /// at an event, else at the end.
    pub(super) fn decode(&mut self, raw: &mut [u8], from: &mut usize, to: &mut usize) -> Option<Event> {
        loop {
            let mut frame = match self.frame.take() {
                Some(frame) => frame,
                None => match self.read_header(&raw[*from..]) {
                    Ok((used, frame)) => {
                        *from += used;
                        frame?
                    }
                    Err(fault) => return Some(Event::Fault(fault)),
                },
            };
            let n = usize::try_from(frame.left).map_or(raw.len() - *from, |left| left.min(raw.len() - *from));
            let payload = *from..*from + n;
            let out = if frame.opcode.is_control() {
                self.control[frame.phase..frame.phase + n].copy_from_slice(&raw[payload]);
                &mut self.control[frame.phase..frame.phase + n]
            } else {
                raw.copy_within(payload, *to);
                *to += n;
                &mut raw[*to - n..*to]
            };
            if let Some(key) = frame.mask {
                mask(out, key, frame.phase);
            }
            *from += n;
            frame.phase = frame.phase.wrapping_add(n);
            frame.left -= n as u64;
            if frame.left > 0 {
                self.frame = Some(frame);
                return None;
            }
            if let Some(event) = self.end(frame) {
                return Some(event);
            }
        }
    }

    /// Reads on in a header: how many bytes it took, and the frame if the header is whole.
    fn read_header(&mut self, raw: &[u8]) -> Result<(usize, Option<Frame>), WebSocketFault> {
        let mut used = 0;
        loop {
            let whole = if self.have < 2 { 2 } else { header_len(self.header[1]) };
            let n = (whole - self.have).min(raw.len() - used);
            self.header[self.have..self.have + n].copy_from_slice(&raw[used..used + n]);
            self.have += n;
            used += n;
            if self.have < whole {
                return Ok((used, None));
            }
            // The first two bytes say how many there are; only a header that is whole is looked at.
            if whole > 2 || header_len(self.header[1]) == 2 {
                self.have = 0;
                return Ok((used, Some(self.begin(whole)?)));
            }
        }
    }

    /// Checks a whole header against the protocol and what is open.
    fn begin(&mut self, header_len: usize) -> Result<Frame, WebSocketFault> {
        const BROKEN: WebSocketFault = WebSocketFault::Protocol;
        let [first, second, ..] = self.header;
        let masked = second & 0x80 != 0;
        // No extension was agreed on that gives the reserved bits a meaning.
        if first & 0x70 != 0 || masked != (self.role == Role::Server) {
            return Err(BROKEN);
        }
        let (last, opcode) = (first & 0x80 != 0, Opcode::of(first).ok_or(BROKEN)?);
        let h = &self.header;
        let left = match second & 0x7F {
            126 => u64::from(u16::from_be_bytes([h[2], h[3]])),
            127 => u64::from_be_bytes([h[2], h[3], h[4], h[5], h[6], h[7], h[8], h[9]]),
            short => u64::from(short),
        };
        let shortest = match second & 0x7F {
            126 => left > 125,
            127 => left > 0xFFFF && left >> 63 == 0,
            _ => true,
        };
        let mask = masked.then(|| std::array::from_fn(|i| h[header_len - 4 + i]));
        match opcode {
            _ if !shortest => return Err(BROKEN),
            _ if opcode.is_control() => {
                if !last || left > MAX_CONTROL as u64 {
                    return Err(BROKEN);
                }
                self.control_len = left as usize;
            }
            Opcode::Text => return Err(WebSocketFault::Text),
            Opcode::Binary if self.message.is_some() => return Err(BROKEN),
            Opcode::Continuation if self.message.is_none() => return Err(BROKEN),
            _ => {
                let message = self.message.unwrap_or(0).saturating_add(left);
                if message > self.max_message {
                    return Err(WebSocketFault::TooBig);
                }
                self.message = Some(message);
            }
        }
        Ok(Frame { opcode, last, left, mask, phase: 0 })
    }

    /// What the end of a frame means.
    fn end(&mut self, frame: Frame) -> Option<Event> {
        match frame.opcode {
            Opcode::Ping => Some(Event::Ping),
            Opcode::Pong => None,
            Opcode::Close => Some(self.close()),
            _ => {
                if frame.last {
                    self.message = None;
                }
                None
            }
        }
    }

    fn close(&self) -> Event {
        match self.control() {
            [] => Event::Close(None),
            [high, low, reason @ ..] => {
                let code = u16::from_be_bytes([*high, *low]);
                // The codes that may stand in a frame (RFC 6455, 7.4, and the registry that it opens).
                let may_stand = matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999);
                if may_stand && str::from_utf8(reason).is_ok() {
                    Event::Close(Some(code))
                } else {
                    Event::Fault(WebSocketFault::Protocol)
                }
            }
            [_] => Event::Fault(WebSocketFault::Protocol),
        }
    }
}

/// The length of a header by its second byte.
fn header_len(second: u8) -> usize {
    let length = match second & 0x7F {
        126 => 2,
        127 => 8,
        _ => 0,
    };
    2 + length + if second & 0x80 != 0 { 4 } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a decoder makes of `bytes` that come in pieces of at most `piece`.
    fn decode(role: Role, bytes: &[u8], piece: usize) -> (Vec<u8>, Vec<(Event, Vec<u8>)>) {
        let mut decoder = Decoder::new(role, 100_000);
        let (mut payload, mut events) = (Vec::new(), Vec::new());
        for raw in bytes.chunks(piece) {
            let mut raw = raw.to_vec();
            let (mut from, mut to) = (0, 0);
            while let Some(event) = decoder.decode(&mut raw, &mut from, &mut to) {
                events.push((event, decoder.control().to_vec()));
                if let Event::Fault(_) = event {
                    payload.extend_from_slice(&raw[..to]);
                    return (payload, events);
                }
            }
            assert_eq!(from, raw.len());
            payload.extend_from_slice(&raw[..to]);
        }
        (payload, events)
    }

    fn frame(first: u8, key: Option<[u8; 4]>, payload: &[u8]) -> Vec<u8> {
        let (mut head, len) = header(Opcode::Binary, payload.len(), key);
        head[0] = first;
        let mut frame = [&head[..len], payload].concat();
        if let Some(key) = key {
            mask(&mut frame[len..], key, 0);
        }
        frame
    }

    #[test]
    fn however_the_bytes_are_cut_the_payload_is_the_same() {
        let long: Vec<u8> = (0..70_000_u32).map(|i| ((i * 7) >> 3) as u8).collect();
        for (role, key) in [(Role::Server, Some([1, 0xF2, 3, 0xA4])), (Role::Client, None)] {
            let stream = [
                frame(0x82, key, b"first"),
                frame(0x82, key, b""),
                frame(0x02, key, &long[..126]),
                frame(0x89, key, b"are you there"),
                frame(0x00, key, &long[126..300]),
                frame(0x80, key, &long[300..301]),
                frame(0x8A, key, b"unasked"),
                frame(0x82, key, &long),
                frame(0x88, key, &[3, 0xE8, b'b', b'y', b'e']),
            ]
            .concat();
            let payload = [b"first", &long[..301], &long[..]].concat();
            let events = vec![
                (Event::Ping, b"are you there".to_vec()),
                (Event::Close(Some(1000)), b"\x03\xE8bye".to_vec()),
            ];
            for piece in [1, 2, 3, 5, 7, 14, 64, 1000, 65_536, stream.len()] {
                assert_eq!(
                    decode(role, &stream, piece),
                    (payload.clone(), events.clone()),
                    "pieces of {piece}"
                );
            }
        }
    }

    #[test]
    fn masking_is_the_same_by_eight_bytes_as_by_one() {
        let (key, plain) = ([9, 8, 7, 6], [0x55; 41]);
        for phase in 0..5 {
            let mut masked = plain;
            mask(&mut masked, key, phase);
            let slow = std::array::from_fn(|i| plain[i] ^ key[(i + phase) % 4]);
            assert_eq!(masked, slow, "phase {phase}");
        }
    }

    #[test]
    fn what_breaks_the_protocol_ends_it_behind_what_came_before() {
        let key = Some([0; 4]);
        let masked = |first: u8, payload: &[u8]| frame(first, key, payload);
        let raw = |bytes: &[u8]| bytes.to_vec();
        let cases = [
            ("unmasked", frame(0x82, None, b"x"), WebSocketFault::Protocol),
            ("text", masked(0x81, b"x"), WebSocketFault::Text),
            ("reserved bit", masked(0xC2, b"x"), WebSocketFault::Protocol),
            ("reserved opcode", masked(0x83, b"x"), WebSocketFault::Protocol),
            ("reserved control", masked(0x8B, b"x"), WebSocketFault::Protocol),
            ("continues nothing", masked(0x80, b"x"), WebSocketFault::Protocol),
            ("begins within", [masked(0x02, b""), masked(0x82, b"x")].concat(), WebSocketFault::Protocol),
            ("text within", [masked(0x02, b""), masked(0x81, b"x")].concat(), WebSocketFault::Text),
            ("ping in parts", masked(0x09, b"x"), WebSocketFault::Protocol),
            ("long ping", masked(0x89, &[0; 126]), WebSocketFault::Protocol),
            ("overlong 16", raw(&[0x82, 0xFE, 0, 125, 0, 0, 0, 0]), WebSocketFault::Protocol),
            (
                "overlong 64",
                raw(&[0x82, 0xFF, 0, 0, 0, 0, 0, 0, 255, 255, 0, 0, 0, 0]),
                WebSocketFault::Protocol,
            ),
            ("63 bits", raw(&[0x82, 0xFF, 128, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]), WebSocketFault::Protocol),
            ("too big", raw(&[0x82, 0xFF, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]), WebSocketFault::TooBig),
            (
                "too big in sum",
                [masked(0x02, &[0; 60_000]), masked(0x00, &[0; 40_001])].concat(),
                WebSocketFault::TooBig,
            ),
            ("half a code", masked(0x88, &[3]), WebSocketFault::Protocol),
            ("a code for no frame", masked(0x88, &1006_u16.to_be_bytes()), WebSocketFault::Protocol),
            ("a reason that is no text", masked(0x88, &[3, 0xE8, 0xFF]), WebSocketFault::Protocol),
        ];
        for (what, bytes, fault) in cases {
            let stream = [masked(0x82, b"before"), bytes].concat();
            for piece in [1, stream.len()] {
                let (payload, events) = decode(Role::Server, &stream, piece);
                assert!(payload.starts_with(b"before"), "{what}");
                assert_eq!(events.last().map(|(event, _)| *event), Some(Event::Fault(fault)), "{what}");
            }
        }
        let (_, events) = decode(Role::Client, &masked(0x82, b"x"), 1);
        assert_eq!(events[0].0, Event::Fault(WebSocketFault::Protocol), "a server masks nothing");
    }
}
