// JavaScript values to C++ and back: see napi-values.h.
#include "napi-values.h"

#include <cmath>
#include <cstring>
#include <new>

namespace logpipe::face {

Call::Call(napi_env env, napi_callback_info info) : env_(env) {
  check(napi_get_cb_info(env, info, &count_, arguments_, nullptr, nullptr));
}

void Call::check(napi_status status) const {
  if (status != napi_ok) throw Pending();
}

// Missing arguments read as undefined, so each reader refuses them; what is too many is refused
// here.
void Call::expect(size_t count) const {
  if (count_ > count) {
    throw TypeFault("expected " + std::to_string(count) + " arguments, got " +
                    std::to_string(count_));
  }
}

napi_valuetype Call::typeOf(Value value) const {
  napi_valuetype type = napi_undefined;
  check(napi_typeof(env_, value, &type));
  return type;
}

double Call::number(Value value, const std::string& what, double min, double max) const {
  if (typeOf(value) != napi_number) throw TypeFault(what + " must be a number");
  double number = 0;
  check(napi_get_value_double(env_, value, &number));
  if (!(std::trunc(number) == number)) throw Misuse(what + " must be an integer");
  if (number < min || number > max) {
    throw Misuse(what + " must be from " + std::to_string(static_cast<long long>(min)) + " to " +
                 std::to_string(static_cast<long long>(max)));
  }
  return number;
}

int32_t Call::int32(Value value, const std::string& what, int32_t min, int32_t max) const {
  return static_cast<int32_t>(number(value, what, min, max));
}

double Call::id(size_t index, const std::string& what) const {
  return number(at(index), what, 1, ID_MAX);
}

bool Call::boolean(Value value, const std::string& what) const {
  if (typeOf(value) != napi_boolean) throw TypeFault(what + " must be a boolean");
  bool boolean = false;
  check(napi_get_value_bool(env_, value, &boolean));
  return boolean;
}

std::string Call::text(Value value, const std::string& what) const {
  if (typeOf(value) != napi_string) throw TypeFault(what + " must be a string");
  size_t size = 0;
  check(napi_get_value_string_utf8(env_, value, nullptr, 0, &size));
  std::string text(size, '\0');
  check(napi_get_value_string_utf8(env_, value, text.data(), size + 1, &size));
  if (text.find('\0') != std::string::npos) throw TypeFault(what + " must not hold a zero byte");
  return text;
}

std::optional<std::string> Call::textOrNull(Value value, const std::string& what) const {
  if (isNull(value)) return std::nullopt;
  if (typeOf(value) != napi_string) throw TypeFault(what + " must be a string or null");
  return text(value, what);
}

std::vector<Value> Call::array(Value value, const std::string& what) const {
  bool isArray = false;
  check(napi_is_array(env_, value, &isArray));
  if (!isArray) throw TypeFault(what + " must be an array");
  uint32_t length = 0;
  check(napi_get_array_length(env_, value, &length));
  std::vector<Value> values(length);
  for (uint32_t index = 0; index < length; index++) {
    check(napi_get_element(env_, value, index, &values[index]));
  }
  return values;
}

Value Call::object(Value value, const std::string& what) const {
  if (typeOf(value) != napi_object) throw TypeFault(what + " must be an object");
  return value;
}

Value Call::field(Value object, const char* name) const {
  Value value = nullptr;
  check(napi_get_named_property(env_, object, name, &value));
  return value;
}

Call::Memory Call::typedArray(Value value, const std::string& what,
                              napi_typedarray_type type) const {
  bool isTypedArray = false;
  check(napi_is_typedarray(env_, value, &isTypedArray));
  napi_typedarray_type actual = napi_int8_array;
  Memory memory{nullptr, 0};
  if (isTypedArray) {
    check(napi_get_typedarray_info(env_, value, &actual, &memory.count, &memory.data, nullptr,
                                   nullptr));
  }
  if (!isTypedArray || actual != type) {
    throw TypeFault(what + (type == napi_int32_array ? " must be an Int32Array"
                                                     : " must be a Uint8Array"));
  }
  return memory;
}

std::string Call::bytes(Value value, const std::string& what) const {
  const Memory memory = typedArray(value, what, napi_uint8_array);
  return memory.count == 0 ? std::string()
                           : std::string(static_cast<const char*>(memory.data), memory.count);
}

// N-API's stable part knows no SharedArrayBuffer, but the memory of a Uint8Array over one.
Call::Memory Call::sharedMemory(Value value, const std::string& what) const {
  Value global = nullptr;
  check(napi_get_global(env_, &global));
  bool isShared = false;
  if (typeOf(value) == napi_object) {
    check(napi_instanceof(env_, value, field(global, "SharedArrayBuffer"), &isShared));
  }
  if (!isShared) throw TypeFault(what + " must be a SharedArrayBuffer");
  Value view = nullptr;
  check(napi_new_instance(env_, field(global, "Uint8Array"), 1, &value, &view));
  return typedArray(view, what, napi_uint8_array);
}

int32_t Call::timeout(size_t index, int32_t maxMs) const {
  return int32(at(index), "timeoutMs", 0, maxMs);
}

PartitionOffset Call::partitionOffset(Value value, const std::string& what) const {
  object(value, what);
  PartitionOffset row;
  row.topic = text(field(value, "topic"), what + ".topic");
  if (row.topic.empty()) throw Misuse(what + ".topic must not be empty");
  row.partition = int32(field(value, "partition"), what + ".partition", 0, INT32_MAX);
  row.offset = static_cast<int64_t>(
      number(field(value, "offset"), what + ".offset", RD_KAFKA_OFFSET_INVALID, OFFSET_MAX));
  Value epoch = field(value, "leaderEpoch");
  if (typeOf(epoch) != napi_undefined) {
    row.leaderEpoch = int32(epoch, what + ".leaderEpoch", -1, INT32_MAX);
  }
  Value metadata = field(value, "metadata");
  if (typeOf(metadata) != napi_undefined) {
    row.metadata = textOrNull(metadata, what + ".metadata").value_or("");
  }
  return row;
}

std::vector<PartitionOffset> Call::partitionOffsets(Value value, const std::string& what) const {
  std::vector<PartitionOffset> rows;
  for (Value element : array(value, what)) {
    rows.push_back(partitionOffset(element, what + "[" + std::to_string(rows.size()) + "]"));
  }
  return rows;
}

Value Call::undefined() const {
  Value value = nullptr;
  check(napi_get_undefined(env_, &value));
  return value;
}

Value Call::null() const {
  Value value = nullptr;
  check(napi_get_null(env_, &value));
  return value;
}

Value Call::of(double number) const {
  Value value = nullptr;
  check(napi_create_double(env_, number, &value));
  return value;
}

Value Call::of(bool boolean) const {
  Value value = nullptr;
  check(napi_get_boolean(env_, boolean, &value));
  return value;
}

Value Call::of(const std::string& text) const {
  Value value = nullptr;
  check(napi_create_string_utf8(env_, text.data(), text.size(), &value));
  return value;
}

Value Call::ofBytes(const std::string& bytes) const {
  Value buffer = nullptr;
  Value value = nullptr;
  void* data = nullptr;
  check(napi_create_arraybuffer(env_, bytes.size(), &data, &buffer));
  if (!bytes.empty()) std::memcpy(data, bytes.data(), bytes.size());
  check(napi_create_typedarray(env_, napi_uint8_array, bytes.size(), buffer, 0, &value));
  return value;
}

Value Call::ofResults(const std::vector<PartitionResult>& rows, bool withErrors) const {
  Value array = newArray(rows.size());
  for (size_t index = 0; index < rows.size(); index++) {
    const PartitionResult& row = rows[index];
    Value value = newObject();
    set(value, "topic", of(row.topic));
    set(value, "partition", of(static_cast<double>(row.partition)));
    set(value, "offset", of(static_cast<double>(row.offset)));
    if (withErrors) set(value, "error", ofName(row.error));
    if (!row.metadata.empty()) set(value, "metadata", of(row.metadata));
    set(array, index, value);
  }
  return array;
}

Value Call::newObject() const {
  Value value = nullptr;
  check(napi_create_object(env_, &value));
  return value;
}

Value Call::newArray(size_t length) const {
  Value value = nullptr;
  check(napi_create_array_with_length(env_, length, &value));
  return value;
}

void Call::set(Value object, const char* name, Value value) const {
  check(napi_set_named_property(env_, object, name, value));
}

void Call::set(Value array, size_t index, Value value) const {
  check(napi_set_element(env_, array, static_cast<uint32_t>(index), value));
}

namespace {

Value wrap(napi_env env, napi_callback_info info) {
  try {
    Call call(env, info);
    void* data = nullptr;
    napi_get_cb_info(env, info, nullptr, nullptr, nullptr, &data);
    return static_cast<const Row*>(data)->function(call);
  } catch (const Pending&) {
    bool isPending = false;
    napi_is_exception_pending(env, &isPending);
    if (!isPending) napi_throw_error(env, "NAPI", "a call of Node-API failed");
  } catch (const TypeFault& fault) {
    napi_throw_type_error(env, nullptr, fault.what());
  } catch (const Refused& refused) {
    napi_throw_error(env, refused.code().c_str(), refused.what());
  } catch (const std::invalid_argument& fault) {
    napi_throw_range_error(env, nullptr, fault.what());
  } catch (const std::out_of_range& fault) {
    napi_throw_range_error(env, nullptr, fault.what());
  } catch (const std::bad_alloc&) {
    napi_throw_error(env, "ENOMEM", "out of memory");
  } catch (const std::exception& failure) {
    napi_throw_error(env, "BRIDGE", failure.what());
  }
  return nullptr;
}

}  // namespace

void define(napi_env env, Value exports, const Row* rows, size_t count) {
  for (size_t index = 0; index < count; index++) {
    Value function = nullptr;
    const Row& row = rows[index];
    if (napi_create_function(env, row.name, NAPI_AUTO_LENGTH, wrap, const_cast<Row*>(&row),
                             &function) != napi_ok ||
        napi_set_named_property(env, exports, row.name, function) != napi_ok) {
      return;  // The exception that is pending fails the load.
    }
  }
}

}  // namespace logpipe::face
