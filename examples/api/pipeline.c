/* A pipeline of futures: each image is made, blurred and measured by tasks that hand their results
 * on. The program submits everything at once and waits for the last; what is large goes from task
 * to task without coming back here. */
#include <math.h>
#include <starlane.h>
#include <stdio.h>

enum { SIDE = 256, IMAGES = 16 };

SL_TASK(make_image, .memory_bytes = SIDE * SIDE * sizeof(float)) {
    int64_t seed = sl_arg_i64(call, 0);
    float *pixels = sl_return_array(call, SL_F32, 2, (size_t[]){SIDE, SIDE});
    for (int i = 0; pixels && i < SIDE * SIDE; i++)
        pixels[i] = (float)((i / SIDE * 31 + i % SIDE * 17) % (int)(seed + 7));
    return 0;
}

SL_TASK(blur, .memory_bytes = 2 * SIDE * SIDE * sizeof(float)) {
    size_t count;
    const float *in = sl_arg_array(call, 0, SL_F32, &count);
    if (!in || count != SIDE * SIDE)
        return sl_call_fail(call, "an image has %d x %d pixels", SIDE, SIDE);
    float *out = sl_return_array(call, SL_F32, 2, (size_t[]){SIDE, SIDE});
    for (int y = 0; out && y < SIDE; y++)
        for (int x = 0; x < SIDE; x++) {
            const float *at = in + y * SIDE + x;
            out[y * SIDE + x] = (at[0] + (x ? at[-1] : at[0]) + (x + 1 < SIDE ? at[1] : at[0])) / 3;
        }
    return 0;
}

SL_TASK(contrast) {
    size_t count;
    const float *in = sl_arg_array(call, 0, SL_F32, &count);
    double sum = 0, squares = 0;
    for (size_t i = 0; i < count; i++) {
        sum += in[i];
        squares += (double)in[i] * in[i];
    }
    double mean = count ? sum / (double)count : 0;
    return sl_return_f64(call, count ? sqrt(squares / (double)count - mean * mean) : 0);
}

SL_TASK(largest) {
    double most = 0;
    for (size_t i = 0; i < sl_arg_count(call); i++)
        most = fmax(most, sl_arg_f64(call, i));
    return sl_return_f64(call, most);
}

int main(int argc, char **argv) {
    sl_value measured[IMAGES];
    sl_future *futures[IMAGES];
    if (sl_init(&argc, &argv, NULL) != 0) {
        fprintf(stderr, "pipeline: %s\n", sl_error_text());
        return 1;
    }
    for (int i = 0; i < IMAGES; i++) {
        sl_future *image = sl_submit(&make_image, SL_ARGS(sl_i64(i)));
        sl_future *blurred = sl_submit(&blur, SL_ARGS(sl_wait_for(image)));
        futures[i] = sl_submit(&contrast, SL_ARGS(sl_wait_for(blurred)));
        measured[i] = sl_wait_for(futures[i]);
        sl_release(image); /* whoever needs it has it */
        sl_release(blurred);
    }
    sl_future *result = sl_submit(&largest, (sl_args){measured, IMAGES});
    int error = sl_wait(result, 60);
    if (error == 0)
        printf("of %d images the largest contrast is %.3f\n", IMAGES, sl_result_f64(result));
    else
        fprintf(stderr, "pipeline: %s\n", sl_error_text());
    for (int i = 0; i < IMAGES; i++)
        sl_release(futures[i]);
    sl_release(result);
    return sl_shutdown() != 0 || error != 0;
}
