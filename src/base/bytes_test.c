// SPDX-License-Identifier: Apache-2.0

#include "base/bytes.h"

#include "tests/harness/test.h"

// Every integer of the wire passes here: the order of bytes is the protocol's. docs/protocol.md,
// preamble.
TEST(bytes, integers_are_big_endian)
{
    uint8_t room[23];
    phi_writer w = phi_writer_of((phi_span){ room, sizeof room });
    phi_write_u8(&w, 0x01);
    phi_write_u16(&w, 0x0203);
    phi_write_u32(&w, 0x04050607);
    phi_write_u64(&w, UINT64_C(0x08090a0b0c0d0e0f));
    phi_write_str8(&w, phi_bytes_text("posthou"));
    EXPECT(!w.failed);
    static const uint8_t expected[] = { 1,  2,  3,  4, 5,   6,   7,   8,   9,   10,  11, 12,
                                        13, 14, 15, 7, 'p', 'o', 's', 't', 'h', 'o', 'u' };
    EXPECT_EQ(phi_writer_size(&w), sizeof expected);
    EXPECT_BYTES(room, expected, sizeof expected);

    phi_reader r = phi_reader_of(phi_writer_view(&w));
    EXPECT_EQ(phi_read_u8(&r), 0x01);
    EXPECT_EQ(phi_read_u16(&r), 0x0203);
    EXPECT_EQ(phi_read_u32(&r), 0x04050607);
    EXPECT_EQ(phi_read_u64(&r), UINT64_C(0x08090a0b0c0d0e0f));
    EXPECT(phi_bytes_equal(phi_read_str8(&r), phi_bytes_text("posthou")));
    EXPECT_EQ(phi_reader_left(&r), 0);
    EXPECT(!r.failed);
}

// A reader that went on after a short read would hand out bytes from behind the packet.
TEST(reader, short_read_fails_and_stays_failed)
{
    static const uint8_t three[] = { 1, 2, 3 };
    for (size_t size = 0; size < sizeof three; size++) {
        phi_reader r = phi_reader_of(phi_bytes_of(three, size));
        EXPECT_EQ(phi_read_u32(&r), 0);
        EXPECT(r.failed);
        EXPECT_EQ(phi_read_u8(&r), 0); // though a byte may be left
        EXPECT_EQ(phi_read_rest(&r).size, 0);
        assert_null(phi_read_bytes(&r, 0).data);
    }
}

// A str8 may announce more than there is.
TEST(reader, str8_longer_than_the_rest_fails)
{
    static const uint8_t lie[] = { 4, 'a', 'b', 'c' };
    phi_reader r = phi_reader_of(phi_bytes_of(lie, sizeof lie));
    EXPECT_EQ(phi_read_str8(&r).size, 0);
    EXPECT(r.failed);
}

// A NULL view is an empty one; arithmetic on it would be undefined.
TEST(reader, of_nothing_is_empty)
{
    phi_reader r = phi_reader_of(phi_bytes_of(NULL, 0));
    EXPECT_EQ(phi_reader_left(&r), 0);
    EXPECT_EQ(phi_read_rest(&r).size, 0);
    EXPECT(!r.failed);
    (void)phi_read_u8(&r);
    EXPECT(r.failed);
}

// A writer must stop before its end, whatever the order and size of the writes.
TEST(writer, full_writes_nothing_more)
{
    uint8_t room[8] = { 0 };
    phi_writer w = phi_writer_of((phi_span){ room, 5 });
    phi_write_u32(&w, UINT32_MAX);
    phi_write_u16(&w, UINT16_MAX);
    EXPECT(w.failed);
    phi_write_u8(&w, 0xff); // would fit, but comes after something that did not
    phi_write_u64(&w, UINT64_MAX);
    EXPECT_EQ(phi_writer_size(&w), 4);
    EXPECT_EQ(room[4], 0);
    EXPECT_EQ(room[5], 0);
}

// A length byte that wraps would cut the text and let the rest be read as something else.
TEST(writer, str8_of_256_bytes_fails)
{
    static uint8_t room[512];
    static uint8_t text[256];
    phi_writer w = phi_writer_of((phi_span){ room, sizeof room });
    phi_write_str8(&w, phi_bytes_of(text, 255));
    EXPECT(!w.failed);
    EXPECT_EQ(phi_writer_size(&w), 256);
    phi_write_str8(&w, phi_bytes_of(text, 256));
    EXPECT(w.failed);
}
