// A record's headers as bytes: count u32, then for each: name length u32, name, value length i32
// (-1: null), value; little endian, unaligned. src/pool/layout.ts says the same.
#pragma once

#include <rdkafka.h>

#include <cstddef>
#include <cstdint>

namespace logpipe {

// librdkafka's parsed headers of a message, and how many bytes they take encoded.
struct Headers {
  rd_kafka_headers_t* parsed = nullptr;
  size_t bytes = 0;
  // False when librdkafka could not parse them: the record goes on without.
  bool wellFormed = true;
};

// Cheap for a message without headers. The first call on a message parses and keeps the result in
// it:
// so the consumer's thread makes it, before another thread gets to see the message.
Headers headersOf(const rd_kafka_message_t* message);

// Writes headers.bytes bytes.
void encodeHeaders(const Headers& headers, uint8_t* out);

}  // namespace logpipe
