#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Is it a real authenticator? python3-fido2, with its own CBOR and with OpenSSL,
judges it; and what no library sends is sent by hand. FIDO_BRIDGE names the program."""

import json
import os
import random
import socket
import struct
import subprocess
import tempfile
import time
import unittest

from fido2 import cbor
from fido2.attestation import PackedAttestation
from fido2.cose import CoseKey
from fido2.ctap import CtapError
from fido2.ctap2 import ClientPin, Ctap2
from fido2.ctap2.extensions import HmacSecretExtension
from fido2.ctap2.pin import PinProtocolV1, PinProtocolV2
from fido2.hid import CtapHidDevice
from fido2.hid.base import CtapHidConnection, HidDescriptor

PROGRAM = os.environ.get("FIDO_BRIDGE", "build/tests/fido-bridge")
HASH = bytes(range(32))
RP = "example.org"
PIN = "1234"
BROADCAST = 0xFFFFFFFF
INIT, PING, CBOR, CANCEL, KEEPALIVE, ERROR = 0x86, 0x81, 0x90, 0x91, 0xBB, 0xBF


class Connection(CtapHidConnection):
    def __init__(self, path):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.sock.settimeout(20)
        self.sock.connect(path)

    def read_packet(self):
        return self.sock.recv(65)

    def write_packet(self, data):
        self.sock.send(data)

    def close(self):
        self.sock.close()


class Bridge:
    def __init__(self, *options):
        self.dir = tempfile.TemporaryDirectory(prefix="gk-test-fido2-")
        self.path = self.dir.name + "/key"
        self.process = subprocess.Popen(
            [PROGRAM, "--socket", self.path, "--max-seconds", "120", *options],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout.readline() == "ready\n"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        status = self.process.wait(timeout=10)
        self.process.stdout.close()
        self.dir.cleanup()
        assert status == 0, status

    def tell(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().rstrip("\n")

    def fido(self):
        return json.loads(self.tell("fido").removeprefix("ok "))

    def open(self):
        return CtapHidDevice(HidDescriptor(self.path, 0, 0, 64, 64),
                             Connection(self.path))


def make(ctap, alg=-7, user=b"u", **more):
    return ctap.make_credential(
        HASH, {"id": RP, "name": "Example"},
        {"id": user, "name": "name of " + user.decode()},
        [{"alg": alg, "type": "public-key"}], **more)


def descriptor(credential_id):
    return {"id": credential_id, "type": "public-key"}


class Judge(unittest.TestCase):
    def fails(self, status, function, *args, **named):
        with self.assertRaises(CtapError) as caught:
            function(*args, **named)
        self.assertEqual(caught.exception.code, status)

    def test_channel(self):
        with Bridge() as bridge:
            dev = bridge.open()
            self.assertEqual(dev.version, 2)
            for size in (0, 1, 57, 58, 116, 117, 1000, 7609):
                data = os.urandom(size)
                self.assertEqual(dev.ping(data), data)
            dev.wink()
            dev.close()

    def test_attestation_and_assertion(self):
        for alg in (-7, -8):
            with self.subTest(alg=alg), Bridge() as bridge:
                dev = bridge.open()
                ctap = Ctap2(dev)
                seen = []
                att = make(ctap, alg, on_keepalive=seen.append)
                self.assertEqual(seen, [2])
                self.assertEqual(att.fmt, "packed")
                PackedAttestation().verify(att.att_statement, att.auth_data, HASH)
                with self.assertRaises(Exception):
                    PackedAttestation().verify(att.att_statement, att.auth_data,
                                               HASH[::-1])
                cred = att.auth_data.credential_data
                self.assertEqual(att.auth_data.flags, 0x41)
                got = ctap.get_assertion(RP, HASH, [descriptor(cred.credential_id)])
                got.verify(HASH, CoseKey.parse(cred.public_key))
                self.assertEqual(got.auth_data.flags, 0x01)
                self.assertEqual(got.credential["id"], cred.credential_id)
                self.assertGreater(got.auth_data.counter, att.auth_data.counter)
                dev.close()

    def secret(self, ctap, cred_id, protocol, salts, token=None):
        ext = HmacSecretExtension(ctap, protocol)
        given = ext.process_get_input({"hmacGetSecret": salts})
        more = {}
        if token:
            more = {"pin_uv_param": protocol.authenticate(token, HASH),
                    "pin_uv_protocol": protocol.VERSION}
        got = ctap.get_assertion(RP, HASH, [descriptor(cred_id)],
                                 extensions={"hmac-secret": given}, **more)
        return ext.process_get_output(got.auth_data)["hmacGetSecret"]

    def test_hmac_secret(self):
        """The same whatever the protocol; another with the PIN."""
        with Bridge("--pin", PIN) as bridge:
            dev = bridge.open()
            ctap = Ctap2(dev)
            att = make(ctap, extensions={"hmac-secret": True})
            self.assertEqual(att.auth_data.extensions, {"hmac-secret": True})
            cred_id = att.auth_data.credential_data.credential_id
            salts = {"salt1": b"a" * 32, "salt2": b"b" * 32}
            plain, verified = [], []
            for protocol in (PinProtocolV1(), PinProtocolV2()):
                plain.append(self.secret(ctap, cred_id, protocol, salts))
                token = ClientPin(ctap, protocol).get_pin_token(
                    PIN, ClientPin.PERMISSION.GET_ASSERTION, RP)
                verified.append(self.secret(ctap, cred_id, protocol, salts, token))
            self.assertEqual(plain[0], plain[1])
            self.assertEqual(verified[0], verified[1])
            self.assertEqual(len({plain[0]["output1"], plain[0]["output2"],
                                  verified[0]["output1"],
                                  verified[0]["output2"]}), 4)
            dev.close()

    def test_token(self):
        """6.5.5.7: for one party, for what was asked for, and only once."""
        with Bridge("--pin", PIN) as bridge:
            dev = bridge.open()
            ctap = Ctap2(dev)
            allow = [descriptor(make(ctap).auth_data.credential_data.credential_id)]
            for protocol in (PinProtocolV1(), PinProtocolV2()):
                pin = ClientPin(ctap, protocol)

                def named(token, hashed=HASH):
                    return {"pin_uv_param": protocol.authenticate(token, hashed),
                            "pin_uv_protocol": protocol.VERSION}

                token = pin.get_pin_token(PIN, 2, RP)
                self.fails(0x33, make, ctap, **named(token))
                self.fails(0x33, ctap.get_assertion, "other.org", HASH, allow,
                           **named(token))
                self.fails(0x33, ctap.get_assertion, RP, HASH, allow,
                           **named(token, HASH[::-1]))
                # a look without touch does not use it up
                for _ in range(2):
                    got = ctap.get_assertion(RP, HASH, allow,
                                             options={"up": False}, **named(token))
                    self.assertEqual(got.auth_data.flags, 0x04)
                got = ctap.get_assertion(RP, HASH, allow, **named(token))
                self.assertEqual(got.auth_data.flags, 0x05)
                self.fails(0x33, ctap.get_assertion, RP, HASH, allow,
                           **named(token))
                self.fails(0x40, pin.get_pin_token, PIN, 0x04, RP)
                self.fails(0x14, pin.get_pin_token, PIN, 0x02)
                self.fails(0x02, pin.get_pin_token, PIN, 0, RP)
                att = make(ctap, **named(pin.get_pin_token(PIN, 1, RP)))
                self.assertEqual(att.auth_data.flags, 0x45)
            dev.close()

    def test_token_of_ctap20(self):
        """It is for the party that it is used for first."""
        with Bridge("--pin", PIN, "--ctap20") as bridge:
            dev = bridge.open()
            ctap = Ctap2(dev)
            self.assertEqual(ctap.info.versions, ["FIDO_2_0"])
            self.fails(0x36, make, ctap)
            self.fails(0x01, ctap.selection)
            pin = ClientPin(ctap)

            def named():
                return {"pin_uv_param": pin.protocol.authenticate(token, HASH),
                        "pin_uv_protocol": pin.protocol.VERSION}

            token = pin.get_pin_token(PIN)
            att = make(ctap, **named())
            allow = [descriptor(att.auth_data.credential_data.credential_id)]
            token = pin.get_pin_token(PIN)
            look = {"options": {"up": False}, **named()}
            ctap.get_assertion(RP, HASH, allow, **look)
            self.fails(0x33, ctap.get_assertion, "other.org", HASH, allow, **look)
            dev.close()

    def test_pin(self):
        with Bridge() as bridge:
            dev = bridge.open()
            pin = ClientPin(Ctap2(dev))
            self.fails(0x35, pin.get_pin_token, PIN, 2, RP)
            # 4 bytes, but 3 characters; the library would not send it
            key, secret = pin._get_shared_secret()
            padded = "ab\u00e4".encode().ljust(64, b"\0")
            enc = pin.protocol.encrypt(secret, padded)
            self.fails(0x37, pin.ctap.client_pin, 2, ClientPin.CMD.SET_PIN,
                       key_agreement=key, new_pin_enc=enc,
                       pin_uv_param=pin.protocol.authenticate(secret, enc))
            pin.set_pin("p\u00e4\u00dfwort")
            self.fails(0x31, pin.change_pin, "passwort", PIN)
            self.assertEqual(pin.get_pin_retries()[0], 7)
            pin.change_pin("p\u00e4\u00dfwort", PIN)
            self.assertEqual(pin.get_pin_retries(), (8, False))
            for status in (0x31, 0x31, 0x34, 0x34):
                self.fails(status, pin.get_pin_token, "wrong", 2, RP)
            self.assertEqual(pin.get_pin_retries(), (5, True))
            dev.close()

    def test_resident(self):
        """The newest first; names only with the PIN."""
        with Bridge("--pin", PIN) as bridge:
            dev = bridge.open()
            ctap = Ctap2(dev)
            protocol = PinProtocolV2()

            def named(permission):
                token = ClientPin(ctap, protocol).get_pin_token(PIN, permission, RP)
                return {"pin_uv_param": protocol.authenticate(token, HASH),
                        "pin_uv_protocol": 2}

            self.fails(0x36, make, ctap, options={"rk": True})
            for user in (b"a", b"b", b"c", b"a"):
                make(ctap, user=user, options={"rk": True}, **named(1))
            self.assertEqual(bridge.fido()["residents"], 3)
            got = ctap.get_assertions(RP, HASH)
            self.assertEqual([g.user for g in got],
                             [{"id": b"a"}, {"id": b"c"}, {"id": b"b"}])
            self.assertEqual(got[0].number_of_credentials, 3)
            self.fails(0x30, ctap.get_next_assertion)
            got = ctap.get_assertions(RP, HASH, **named(2))
            self.assertEqual(got[1].user, {"id": b"c", "name": "name of c"})
            self.fails(0x2E, ctap.get_assertion, "other.org", HASH)
            for n in range(22):
                make(ctap, user=b"%d" % n, options={"rk": True}, **named(1))
            self.fails(0x28, make, ctap, user=b"more", options={"rk": True},
                       **named(1))
            dev.close()

    def test_selection_and_reset(self):
        with Bridge("--pin", PIN, "--touch-timeout", "300") as bridge:
            dev = bridge.open()
            ctap = Ctap2(dev)
            ctap.selection()
            bridge.tell("touch never")
            self.fails(0x2F, ctap.selection)
            self.fails(0x2F, ctap.reset)
            bridge.tell("touch now")
            ctap.reset()
            self.assertFalse(Ctap2(dev).info.options["clientPin"])
            dev.close()

    def test_requests_by_hand(self):
        """What is sent as CTAPHID_CBOR, and the status that it gets."""
        table = {
            "": None,
            "04": 0x00, "0400": 0x00,
            "05": 0x01, "41": 0x01, "ff": 0x01,
            # getAssertion: no map, half a map, nothing in it, indefinite
            "02": 0x12, "0200": 0x11, "02a1": 0x12, "02a0": 0x14, "02bf": 0x12,
            # 24 as two bytes of which one would do; a length of 2^64 - 1
            "02a11801": 0x12, "02a1025bffffffffffffffff": 0x12,
            # more pairs than bytes; nested arrays without an end; a tag
            "02bb7fffffffffffffff": 0x12, "02a120" + "81" * 500: 0x12,
            "02a109c000": 0x12,
            # bytes behind the end
            "02a20161610258200000" + "00" * 30 + "00": 0x12,
            # the hash of 31 bytes
            "02a201616102581f" + "00" * 31: 0x03,
            # clientPIN: no subcommand, one there is not, no protocol, protocol 3
            "06a0": 0x14, "06a10207": 0x3E, "06a10202": 0x14,
            "06a201030202": 0x02,
            # makeCredential with nothing in it
            "01a0": 0x14,
        }
        with Bridge() as bridge:
            dev = bridge.open()
            for request, status in table.items():
                with self.subTest(request=request[:40]):
                    if status is None:
                        self.fails(0x03, dev.call, CBOR & 0x7F, b"")
                        continue
                    answer = dev.call(CBOR & 0x7F, bytes.fromhex(request))
                    self.assertEqual(answer[0], status)
            dev.close()

    def test_spoilt_requests(self):
        """Valid requests with some bytes changed, always the same ones: each gets
        an answer, and the authenticator lives."""
        rnd = random.Random(1)
        with Bridge("--pin", PIN, "--touch-timeout", "50") as bridge:
            dev = bridge.open()
            ctap = Ctap2(dev)
            cred = make(ctap).auth_data.credential_data.credential_id
            key, _ = ClientPin(ctap)._get_shared_secret()
            requests = [
                b"\x01" + cbor.encode({
                    1: HASH, 2: {"id": RP}, 3: {"id": b"u", "name": "n"},
                    4: [{"alg": -7, "type": "public-key"}],
                    5: [descriptor(cred)], 6: {"hmac-secret": True},
                    7: {"rk": True}, 8: b"p" * 32, 9: 2}),
                b"\x02" + cbor.encode({
                    1: RP, 2: HASH, 3: [descriptor(cred)],
                    4: {"hmac-secret": {1: key, 2: b"s" * 48, 3: b"a" * 32, 4: 2}},
                    5: {"up": False}, 6: b"p" * 32, 7: 2}),
                b"\x06" + cbor.encode({
                    1: 2, 2: 9, 3: key, 6: b"h" * 32, 9: 2, 10: RP}),
                b"\x06" + cbor.encode({
                    1: 2, 2: 4, 3: key, 4: b"a" * 32, 5: b"n" * 80, 6: b"h" * 32}),
            ]
            for n in range(1200):
                spoilt = bytearray(requests[n % len(requests)])
                for _ in range(rnd.randint(1, 4)):
                    spoilt[rnd.randrange(len(spoilt))] = rnd.choice(
                        (0, 1, 0x1B, 0x5B, 0x7F, 0x80, 0xBB, 0xFF, rnd.randrange(256)))
                if rnd.random() < 0.2:
                    del spoilt[rnd.randrange(1, len(spoilt)):]
                if spoilt[0] == 7:  # that would be a real reset
                    continue
                self.assertNotEqual(dev.call(CBOR & 0x7F, bytes(spoilt)), b"")
            got = ctap.get_assertion(RP, HASH, [descriptor(cred)])
            self.assertEqual(got.auth_data.flags, 0x01)
            dev.close()

    def test_packets_by_hand(self):
        def packet(cid, *rest):
            return (struct.pack(">I", cid) + bytes(rest)).ljust(64, b"\0")

        def expect(conn, cid, cmd, first=None):
            got = conn.read_packet()
            # One may have been on its way.
            while got[4] == KEEPALIVE != cmd:
                got = conn.read_packet()
            self.assertEqual(struct.unpack_from(">IB", got), (cid, cmd))
            if first is not None:
                self.assertEqual(got[7], first)
            return got

        def channel(conn):
            conn.write_packet(packet(BROADCAST, INIT, 0, 8, *b"nonce..."))
            got = expect(conn, BROADCAST, INIT)
            self.assertEqual(got[5:15], b"\0\x11nonce...")
            return struct.unpack_from(">I", got, 15)[0]

        with Bridge() as bridge:
            one, two = Connection(bridge.path), Connection(bridge.path)
            a, b = channel(one), channel(two)
            self.assertNotEqual(a, b)
            self.assertNotIn(0, (a, b))
            # a channel nobody has, and the broadcast channel for anything else
            one.write_packet(packet(a ^ b ^ 1, PING, 0, 0))
            expect(one, a ^ b ^ 1, ERROR, 0x0B)
            one.write_packet(packet(BROADCAST, PING, 0, 0))
            expect(one, BROADCAST, ERROR, 0x0B)
            # 7610 bytes; a continuation out of order; of nothing; a second start
            one.write_packet(packet(a, PING, 0x1D, 0xBA))
            expect(one, a, ERROR, 0x03)
            one.write_packet(packet(a, PING, 0, 200))
            one.write_packet(packet(a, 1))
            expect(one, a, ERROR, 0x04)
            one.write_packet(packet(a, 0))
            one.write_packet(packet(a, PING, 0, 200))
            one.write_packet(packet(a, PING, 0, 200))
            expect(one, a, ERROR, 0x04)
            # U2F is not spoken
            one.write_packet(packet(a, 0x83, 0, 5))
            expect(one, a, ERROR, 0x01)
            # the rest of a message does not come
            since = time.monotonic()
            one.write_packet(packet(a, PING, 0, 200))
            expect(one, a, ERROR, 0x05)
            self.assertGreater(time.monotonic() - since, 0.4)
            # while one waits for a touch: two is told so, INIT is served, and
            # only one can cancel
            bridge.tell("touch never")
            one.write_packet(packet(a, CBOR, 0, 1, 0x0B))
            expect(one, a, KEEPALIVE, 2)
            two.write_packet(packet(b, PING, 0, 0))
            expect(two, b, ERROR, 0x06)
            two.write_packet(packet(b, CANCEL, 0, 0))
            c = channel(two)
            self.assertEqual(bridge.fido()["cancels"], 0)
            one.write_packet(packet(a, CANCEL, 0, 0))
            got = expect(one, a, CBOR, 0x2D)
            self.assertEqual(got[5:7], bytes([0, 1]))
            two.write_packet(packet(c, PING, 0, 0))
            expect(two, c, PING)
            # INIT on one's own channel ends one's own request
            one.write_packet(packet(a, CBOR, 0, 1, 0x0B))
            expect(one, a, KEEPALIVE, 2)
            one.write_packet(packet(a, INIT, 0, 8, *b"nonce..."))
            got = expect(one, a, INIT)
            self.assertEqual(struct.unpack_from(">I", got, 15)[0], a)
            two.write_packet(packet(c, PING, 0, 0))
            expect(two, c, PING)
            # whoever goes away while it waits does not keep it
            one.write_packet(packet(a, CBOR, 0, 1, 0x0B))
            expect(one, a, KEEPALIVE, 2)
            one.close()
            while bridge.fido()["state"] != "idle":
                time.sleep(0.01)
            two.write_packet(packet(c, PING, 0, 0))
            expect(two, c, PING)
            # no packet of another length
            two.write_packet(b"x" * 63)
            self.assertEqual(two.read_packet(), b"")
            two.close()


if __name__ == "__main__":
    unittest.main()
