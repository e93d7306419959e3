// The face of fields: the scalars at some paths of a JSON document, as the language of expressions
// reads them (json-fields.h). For what comes behind a filter: the labels and numbers of metrics.
#include "json-fields.h"
#include "napi-values.h"
#include "registries.h"

namespace logpipe::face {
namespace {

constexpr size_t PATHS_MAX = 10000;

Value fieldsOpen(Call& call) {
  call.expect(1);
  auto paths = std::make_unique<NumberedPaths>();
  for (Value path : call.array(call.at(0), "paths")) {
    if (paths->slots.size() == PATHS_MAX) throw Misuse("too many paths");
    std::vector<std::string> parts;
    for (Value part : call.array(path, "a path")) parts.push_back(call.text(part, "a path's part"));
    if (parts.empty()) throw Misuse("a path has one part or more");
    paths->slots.push_back(paths->tree.add(parts));
  }
  return call.of(fieldPaths().add(std::move(paths)));
}

Value fieldsClose(Call& call) {
  call.expect(1);
  fieldPaths().remove(call.id(0, "fields"));
  return call.undefined();
}

// Of an array the first scalar in it.
Value scalarAt(const Call& call, JsonReader& reader, uint32_t slot) {
  uint32_t found = JsonReader::NONE;
  for (uint32_t at = reader.first(slot); at != JsonReader::NONE; at = reader.value(at).next) {
    const JsonValue::Kind kind = reader.value(at).kind;
    if (kind != JsonValue::Kind::String && kind != JsonValue::Kind::Number &&
        kind != JsonValue::Kind::Boolean) {
      continue;
    }
    if (found == JsonReader::NONE || at < found) found = at;
  }
  if (found == JsonReader::NONE) return call.null();
  return call.of(std::string(reader.text(reader.value(found))));
}

Value fieldsOf(Call& call) {
  call.expect(2);
  const auto paths = fieldPaths().lease(call.id(0, "fields"));
  const Call::Memory value = call.typedArray(call.at(1), "value", napi_uint8_array);
  thread_local JsonReader reader;
  Value result = call.newArray(paths->slots.size());
  const bool isObject = value.count > 0 && reader.read(paths->tree,
                                                       static_cast<const uint8_t*>(value.data),
                                                       value.count);
  for (size_t index = 0; index < paths->slots.size(); index++) {
    Value text = isObject ? scalarAt(call, reader, paths->slots[index]) : call.null();
    call.set(result, index, text);
  }
  return result;
}

constexpr Row ROWS[] = {
    {"fieldsOpen", fieldsOpen},
    {"fieldsClose", fieldsClose},
    {"fieldsOf", fieldsOf},
};

}  // namespace

void defineFields(napi_env env, Value exports) { define(env, exports, ROWS, std::size(ROWS)); }

}  // namespace logpipe::face
