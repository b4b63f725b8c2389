// Functions that generated kernels call; a kernel gets those that it needs.  wg_args[0].x is 0, which
// no compiler knows: what passes through it cannot be rearranged by algebra that holds for real
// numbers only, as WGSL allows.

// ---- f32 ----------------------------------------------------------------------------------------
fn wg_keep(x: f32) -> f32 {
  return bitcast<f32>(bitcast<u32>(x) + wg_args[0].x);
}

fn wg_constant(bits: u32) -> f32 {
  return bitcast<f32>(bits + wg_args[0].x);
}

fn wg_from_bits(bits: i32) -> f32 {
  return bitcast<f32>(bitcast<u32>(bits) + wg_args[0].x);
}

fn wg_add(a: f32, b: f32) -> f32 {
  return wg_keep(wg_keep(a) + b);
}

fn wg_sub(a: f32, b: f32) -> f32 {
  return wg_keep(wg_keep(a) - b);
}

fn wg_mul(a: f32, b: f32) -> f32 {
  return wg_keep(a * b);
}

fn wg_div(a: f32, b: f32) -> f32 {
  return wg_keep(a / b);
}

fn wg_sqrt(x: f32) -> f32 {
  return wg_keep(sqrt(x));
}

// a * b + c.  Where fma() rounds twice, the errors of the product (Dekker 1971) and of the sum (Knuth)
// are added to the sum: rounded once, but for rare ties that may be off by one unit.
fn wg_fma(a: f32, b: f32, c: f32) -> f32 {
  if (wg_has_fma) {
    return fma(a, b, c);
  }
  let a_high = bitcast<f32>(bitcast<u32>(a) & 0xfffff000u);
  let b_high = bitcast<f32>(bitcast<u32>(b) & 0xfffff000u);
  let a_low = a - a_high;
  let b_low = b - b_high;
  let product = wg_keep(a * b);
  let lost = ((a_high * b_high - product) + a_high * b_low + a_low * b_high) + a_low * b_low;
  let sum = wg_keep(product + c);
  let part = wg_keep(sum - product);
  let rest = ((product - wg_keep(sum - part)) + (c - part)) + lost;
  let magnitude = bitcast<u32>(rest) & 0x7fffffffu;
  return select(sum, wg_keep(sum + rest), magnitude != 0u && magnitude < 0x7f800000u);
}

// a - b * trunc(a / b), exactly: the remainder of the significands, eight bits at a time.
fn wg_fmod(a: f32, b: f32) -> f32 {
  let a_bits = bitcast<u32>(a) & 0x7fffffffu;
  let b_bits = bitcast<u32>(b) & 0x7fffffffu;
  if (a_bits >= 0x7f800000u || b_bits > 0x7f800000u || b_bits == 0u) {
    return wg_constant(0x7fc00000u);
  }
  if (a_bits < b_bits) {
    return a;
  }
  let a_exponent = max(a_bits >> 23u, 1u);
  let b_exponent = max(b_bits >> 23u, 1u);
  let a_part = (a_bits & 0x7fffffu) | select(0u, 0x800000u, a_bits >= 0x800000u);
  let b_part = (b_bits & 0x7fffffu) | select(0u, 0x800000u, b_bits >= 0x800000u);
  var rest = a_part % b_part;
  var left = a_exponent - b_exponent;
  while (left > 0u) {
    let step = min(left, 8u);
    rest = (rest << step) % b_part;
    left -= step;
  }
  let sign = bitcast<u32>(a) & 0x80000000u;
  if (rest == 0u) {
    return wg_constant(sign);
  }
  let up = countLeadingZeros(rest) - 8u;
  if (up < b_exponent) {
    return wg_constant(sign | ((b_exponent - up) << 23u) | ((rest << up) & 0x7fffffu));
  }
  return wg_constant(sign | (rest << (b_exponent - 1u)));
}

// naga's GLSL has % of negative numbers undefined.
fn wg_rem(a: i32, b: i32) -> i32 {
  return a - (a / b) * b;
}

// ---- parts of words -----------------------------------------------------------------------------
fn wg_byte(word: u32, at: u32) -> u32 {
  return (word >> ((at & 3u) << 3u)) & 0xffu;
}

fn wg_half(word: u32, at: u32) -> u32 {
  return (word >> ((at & 1u) << 4u)) & 0xffffu;
}

fn wg_f32_of_bf16(bits: u32) -> f32 {
  return bitcast<f32>(bits << 16u);
}

fn wg_bf16(x: f32) -> u32 {
  let bits = bitcast<u32>(x);
  let rounded = (bits + 0x7fffu + ((bits >> 16u) & 1u)) >> 16u;
  return select(rounded, 0x7fc0u, (bits & 0x7fffffffu) > 0x7f800000u);
}

fn wg_f32_of_f16(bits: u32) -> f32 {
  let sign = (bits & 0x8000u) << 16u;
  let magnitude = bits & 0x7fffu;
  let small = bitcast<u32>(f32(magnitude) * 5.9604644775390625e-8f);
  let wide = (magnitude << 13u) + select(0x38000000u, 0x70000000u, magnitude >= 0x7c00u);
  return bitcast<f32>(sign | select(wide, small, magnitude < 0x400u));
}

fn wg_f16(x: f32) -> u32 {
  let bits = bitcast<u32>(x);
  let sign = (bits >> 16u) & 0x8000u;
  let magnitude = bits & 0x7fffffffu;
  // adding 0.5 leaves a multiple of 2**-24, the smallest half, in the last bits
  let small = bitcast<u32>(wg_keep(bitcast<f32>(magnitude) + 0.5f)) - 0x3f000000u;
  let normal = ((magnitude + 0xfffu + ((magnitude >> 13u) & 1u)) >> 13u) - 0x1c000u;
  let finite = select(normal, small, magnitude < 0x38800000u);
  let wide = select(0x7c00u, 0x7e00u, magnitude > 0x7f800000u);
  return sign | select(finite, wide, magnitude >= 0x477ff000u);
}

// ---- 64-bit integers: x holds the low word, y the high one --------------------------------------
fn wg_wide(x: i32) -> vec2<u32> {
  return vec2<u32>(bitcast<u32>(x), bitcast<u32>(x >> 31u));
}

fn wg_wide_add(a: vec2<u32>, b: vec2<u32>) -> vec2<u32> {
  let low = a.x + b.x;
  return vec2<u32>(low, a.y + b.y + select(0u, 1u, low < a.x));
}

fn wg_wide_sub(a: vec2<u32>, b: vec2<u32>) -> vec2<u32> {
  return vec2<u32>(a.x - b.x, a.y - b.y - select(0u, 1u, a.x < b.x));
}

fn wg_wide_mul(a: vec2<u32>, b: vec2<u32>) -> vec2<u32> {
  let a_low = a.x & 0xffffu;
  let a_high = a.x >> 16u;
  let b_low = b.x & 0xffffu;
  let b_high = b.x >> 16u;
  let low_high = a_low * b_high;
  let high_low = a_high * b_low;
  let middle = ((a_low * b_low) >> 16u) + (low_high & 0xffffu) + (high_low & 0xffffu);
  let high = a_high * b_high + (low_high >> 16u) + (high_low >> 16u) + (middle >> 16u);
  return vec2<u32>(a.x * b.x, high + a.x * b.y + a.y * b.x);
}

fn wg_wide_shl(a: vec2<u32>, count: vec2<u32>) -> vec2<u32> {
  let k = count.x & 31u;
  let low = a.x << k;
  let high = (a.y << k) | ((a.x >> 1u) >> (31u - k));
  return select(vec2<u32>(low, high), vec2<u32>(0u, low), count.x >= 32u);
}

fn wg_i64_shr(a: vec2<u32>, count: vec2<u32>) -> vec2<u32> {
  let k = count.x & 31u;
  let sign = bitcast<i32>(a.y);
  let high = bitcast<u32>(sign >> k);
  let low = (a.x >> k) | ((a.y << 1u) << (31u - k));
  return select(vec2<u32>(low, high), vec2<u32>(high, bitcast<u32>(sign >> 31u)), count.x >= 32u);
}

fn wg_u64_shr(a: vec2<u32>, count: vec2<u32>) -> vec2<u32> {
  let k = count.x & 31u;
  let high = a.y >> k;
  let low = (a.x >> k) | ((a.y << 1u) << (31u - k));
  return select(vec2<u32>(low, high), vec2<u32>(high, 0u), count.x >= 32u);
}

fn wg_i64_lt(a: vec2<u32>, b: vec2<u32>) -> bool {
  return select(bitcast<i32>(a.y) < bitcast<i32>(b.y), a.x < b.x, a.y == b.y);
}

fn wg_u64_lt(a: vec2<u32>, b: vec2<u32>) -> bool {
  return select(a.y < b.y, a.x < b.x, a.y == b.y);
}

fn wg_wide_magnitude(a: vec2<u32>) -> vec2<u32> {
  return select(a, wg_wide_sub(vec2<u32>(0u, 0u), a), a.y >= 0x80000000u);
}

// The quotient in xy and the remainder in zw, one bit after the other from the first that is set.
fn wg_u64_divide(a: vec2<u32>, b: vec2<u32>) -> vec4<u32> {
  if (a.y == 0u && b.y == 0u) {
    return vec4<u32>(a.x / b.x, 0u, a.x % b.x, 0u);
  }
  var quotient = vec2<u32>(0u, 0u);
  var rest = vec2<u32>(0u, 0u);
  var left = a;
  for (var i = 0; i < 64; i++) {
    rest = vec2<u32>((rest.x << 1u) | (left.y >> 31u), (rest.y << 1u) | (rest.x >> 31u));
    left = vec2<u32>(left.x << 1u, (left.y << 1u) | (left.x >> 31u));
    quotient = vec2<u32>(quotient.x << 1u, (quotient.y << 1u) | (quotient.x >> 31u));
    if (!wg_u64_lt(rest, b)) {
      rest = wg_wide_sub(rest, b);
      quotient.x |= 1u;
    }
  }
  return vec4<u32>(quotient, rest);
}

fn wg_u64_div(a: vec2<u32>, b: vec2<u32>) -> vec2<u32> {
  return wg_u64_divide(a, b).xy;
}

fn wg_u64_rem(a: vec2<u32>, b: vec2<u32>) -> vec2<u32> {
  return wg_u64_divide(a, b).zw;
}

fn wg_i64_div(a: vec2<u32>, b: vec2<u32>) -> vec2<u32> {
  let quotient = wg_u64_divide(wg_wide_magnitude(a), wg_wide_magnitude(b)).xy;
  let is_negative = ((a.y ^ b.y) & 0x80000000u) != 0u;
  return select(quotient, wg_wide_sub(vec2<u32>(0u, 0u), quotient), is_negative);
}

fn wg_i64_rem(a: vec2<u32>, b: vec2<u32>) -> vec2<u32> {
  let rest = wg_u64_divide(wg_wide_magnitude(a), wg_wide_magnitude(b)).zw;
  return select(rest, wg_wide_sub(vec2<u32>(0u, 0u), rest), a.y >= 0x80000000u);
}

// The leading 32 bits, the last of them set if any bit is lost, round as all of them would.
fn wg_f32_of_u64(a: vec2<u32>) -> f32 {
  let zeros = select(countLeadingZeros(a.y), 32u + countLeadingZeros(a.x), a.y == 0u);
  let leading = wg_wide_shl(a, vec2<u32>(zeros & 63u, 0u));
  let significand = f32(leading.y | select(0u, 1u, leading.x != 0u));
  return select(significand * bitcast<f32>((159u - zeros) << 23u), 0.0f, zeros >= 64u);
}

fn wg_f32_of_i64(a: vec2<u32>) -> f32 {
  let magnitude = wg_f32_of_u64(wg_wide_magnitude(a));
  return select(magnitude, -magnitude, a.y >= 0x80000000u);
}

fn wg_i64_of_f32(x: f32) -> vec2<u32> {
  let bits = bitcast<u32>(x);
  let exponent = i32((bits >> 23u) & 0xffu) - 150;
  let significand = (bits & 0x7fffffu) | 0x800000u;
  if (exponent >= 40) {
    return vec2<u32>(0u, 0x80000000u);
  }
  var magnitude = wg_wide_shl(vec2<u32>(significand, 0u), vec2<u32>(u32(max(exponent, 0)), 0u));
  if (exponent < 0) {
    magnitude = vec2<u32>(select(significand >> u32(min(-exponent, 31)), 0u, exponent < -31), 0u);
  }
  return select(magnitude, wg_wide_sub(vec2<u32>(0u, 0u), magnitude), bits >= 0x80000000u);
}
