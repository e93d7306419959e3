// Encoding of headers: see headers.h.
#include "headers.h"

#include <cstring>

namespace logpipe {
namespace {

struct Header {
  const char* name;
  const void* value;
  size_t valueBytes;
};

bool headerAt(const rd_kafka_headers_t* headers, size_t index, Header& header) {
  return rd_kafka_header_get_all(headers, index, &header.name, &header.value, &header.valueBytes) ==
         RD_KAFKA_RESP_ERR_NO_ERROR;
}

uint8_t* putU32(uint8_t* out, uint32_t value) {
  out[0] = static_cast<uint8_t>(value);
  out[1] = static_cast<uint8_t>(value >> 8);
  out[2] = static_cast<uint8_t>(value >> 16);
  out[3] = static_cast<uint8_t>(value >> 24);
  return out + 4;
}

uint8_t* putBytes(uint8_t* out, const void* from, size_t size) {
  if (size > 0) std::memcpy(out, from, size);
  return out + size;
}

// Asking librdkafka costs a kilobyte of allocation for a message without headers, at 100-byte
// records more than all the rest. In a record of format 2 the count of headers follows the value,
// so a zero behind the value says that there are none. Older formats have no headers, whatever
// that byte is; anything but a zero is asked about, and so is a value of no bytes, which
// librdkafka keeps elsewhere. The byte is read only where it shares a page with the value's last
// byte, and so is there to be read.
bool surelyNone(const rd_kafka_message_t* message) {
  constexpr uintptr_t PAGE_BYTES = 4096;
  if (message->payload == nullptr || message->len == 0) return false;
  const auto* behind = static_cast<const uint8_t*>(message->payload) + message->len;
  return reinterpret_cast<uintptr_t>(behind) % PAGE_BYTES != 0 && *behind == 0;
}

}  // namespace

Headers headersOf(const rd_kafka_message_t* message) {
  Headers headers;
  if (surelyNone(message)) return headers;
  const auto error = rd_kafka_message_headers(message, &headers.parsed);
  if (error == RD_KAFKA_RESP_ERR__NOENT) return headers;
  if (error != RD_KAFKA_RESP_ERR_NO_ERROR) {
    headers.parsed = nullptr;
    headers.wellFormed = false;
    return headers;
  }
  headers.bytes = 4;
  Header header;
  size_t count = 0;
  for (; headerAt(headers.parsed, count, header); count++) {
    headers.bytes += 8 + std::strlen(header.name) + (header.value ? header.valueBytes : 0);
  }
  if (count == 0) headers = Headers{};
  return headers;
}

void encodeHeaders(const Headers& headers, uint8_t* out) {
  if (headers.bytes == 0) return;
  out = putU32(out, static_cast<uint32_t>(rd_kafka_header_cnt(headers.parsed)));
  Header header;
  for (size_t index = 0; headerAt(headers.parsed, index, header); index++) {
    const size_t nameBytes = std::strlen(header.name);
    out = putU32(out, static_cast<uint32_t>(nameBytes));
    out = putBytes(out, header.name, nameBytes);
    if (header.value == nullptr) {
      out = putU32(out, UINT32_MAX);
    } else {
      out = putU32(out, static_cast<uint32_t>(header.valueBytes));
      out = putBytes(out, header.value, header.valueBytes);
    }
  }
}

}  // namespace logpipe
