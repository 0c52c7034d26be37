import { svelte } from '@sveltejs/vite-plugin-svelte';
import vue from '@vitejs/plugin-vue';

const isCustomElement = (tag) => tag === 'lazy-image';

export default {
  plugins: [vue({ template: { compilerOptions: { isCustomElement } } }), svelte()],
  build: { rolldownOptions: { input: ['vue.html', 'svelte.html'] } },
};
